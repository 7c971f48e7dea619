//! The proxy in front of a broker that speaks AMQP 0-9-1.

mod conversation;
mod frame;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use conversation::{Conversation, Rules};

use super::TcpProxy;
use super::rules::{Effect, Hold, Loss};

pub use frame::AmqpFrame;

/// A [`TcpProxy`] in front of a broker that catches frames of AMQP 0-9-1.
///
/// ```no_run
/// # use aftercommit_testkit::proxy::{AmqpFrame, AmqpProxy};
/// # async fn test() -> std::io::Result<()> {
/// let proxy = AmqpProxy::start("127.0.0.1:5672").await?;
/// let lost = proxy.lose(AmqpFrame::confirm().nth(3), 1);
/// // … start what publishes, by `proxy.address()`
/// lost.happened().await; // the broker has the third message, and the client does not know
/// # Ok(())
/// # }
/// ```
///
/// Each rule is about the frames it recognises from the moment it is made, on any connection, and each frame is caught by
/// one rule at most. It sees nothing of connections with TLS.
#[derive(Debug)]
pub struct AmqpProxy {
    tcp: TcpProxy,
    rules: Rules,
}

impl AmqpProxy {
    /// A proxy in front of the broker at `upstream`, which is `host:port`.
    ///
    /// # Errors
    /// The loopback interface has no free port.
    pub async fn start(upstream: impl fmt::Display) -> io::Result<Self> {
        let rules = Rules::default();
        let of_each = rules.clone();
        let protocol = Arc::new(move || Box::new(Conversation::new(of_each.clone())) as _);
        let tcp = TcpProxy::start_with(upstream.to_string(), Some(protocol)).await?;
        Ok(Self { tcp, rules })
    }

    /// What any proxy can do: flows, cuts, counts.
    pub const fn tcp(&self) -> &TcpProxy {
        &self.tcp
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.tcp.address()
    }

    /// The URL of the broker behind, with the proxy in its place: `amqp://user:password@host:port/vhost`.
    pub fn through(&self, url: &str) -> String {
        let address = self.address();
        let (scheme, rest) = url.split_once("://").unwrap_or(("amqp", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@') {
            Some((login, _)) => format!("{scheme}://{login}@{address}{path}"),
            None => format!("{scheme}://{address}{path}"),
        }
    }

    /// Keeps such a frame from the other end, and all that follows it in its direction.
    pub fn hold(&self, frame: AmqpFrame) -> Hold {
        self.rules.book.hold(frame, frame.first())
    }

    /// Cuts the connection instead of passing on such a frame, `times` times.
    pub fn lose(&self, frame: AmqpFrame, times: usize) -> Loss {
        self.lose_by(frame, Effect::Lose, times)
    }

    /// Passes such a frame on, and cuts its connection before anything that follows, `times` times. It has happened when
    /// the other end has read the frame and noticed the end.
    pub fn cut_after(&self, frame: AmqpFrame, times: usize) -> Loss {
        self.lose_by(frame, Effect::CutAfterwards, times)
    }

    /// Forgets such a frame, `times` times, and passes on what follows it.
    ///
    /// Of a message, that is one of its frames: what is left of it is against the protocol, other than of an
    /// acknowledgement. A later confirmation may be for several messages, and also for one whose own was forgotten.
    pub fn swallow(&self, frame: AmqpFrame, times: usize) -> Loss {
        self.lose_by(frame, Effect::Swallow, times)
    }

    /// Turns all bits of one byte of such a frame round, `times` times: of byte 0, which is its type, or of another. A
    /// frame that is shorter is changed at its last byte, which says that it ends.
    pub fn corrupt(&self, frame: AmqpFrame, byte: usize, times: usize) -> Loss {
        self.lose_by(frame, Effect::Corrupt(byte), times)
    }

    /// How many such frames have come by on all connections, whatever became of them.
    pub fn seen(&self, frame: AmqpFrame) -> u64 {
        self.rules.seen.borrow().count(frame)
    }

    /// Waits until `count` such frames have come by, at most 30 s; answers whether they did.
    pub async fn wait_until_seen(&self, frame: AmqpFrame, count: u64) -> bool {
        let mut seen = self.rules.seen.subscribe();
        let waiting = tokio::time::timeout(super::PATIENCE, seen.wait_for(|seen| seen.count(frame) >= count));
        matches!(waiting.await, Ok(Ok(_)))
    }

    fn lose_by(&self, frame: AmqpFrame, effect: Effect, times: usize) -> Loss {
        self.rules.book.lose(frame, effect, frame.first(), times)
    }
}
