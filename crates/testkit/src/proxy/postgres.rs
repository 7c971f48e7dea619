//! A proxy that knows PostgreSQL's statements.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::conversation::Conversation;
use super::rules::{Hold, Loss};
use super::statement_rules::{Point, Rules};
use super::{Statement, TcpProxy};

/// A [`TcpProxy`] in front of PostgreSQL that catches statements, of the simple and the extended protocol.
///
/// ```no_run
/// # use aftercommit_testkit::proxy::PostgresProxy;
/// # async fn test() -> std::io::Result<()> {
/// let proxy = PostgresProxy::start("127.0.0.1:5432").await?;
/// let hold = proxy.hold_reply("COMMIT");
/// // … start what commits, by `proxy.address()`
/// hold.arrived().await; // it is committed, and the client does not know
/// hold.cut();
/// # Ok(())
/// # }
/// ```
///
/// Each rule catches the next statement it recognises, on any connection. It sees nothing of connections with TLS, so
/// connect with `sslmode=disable`, or to a server without TLS. Of a statement that a client had prepared before, it
/// knows the text.
#[derive(Debug)]
pub struct PostgresProxy {
    tcp: TcpProxy,
    rules: Rules,
}

impl PostgresProxy {
    /// A proxy in front of the server at `upstream`, which is `host:port`.
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

    /// Keeps the next such statement from the server. In the extended protocol that is the message that executes it:
    /// what prepares it passes.
    pub fn hold_request(&self, statement: impl Into<Statement>) -> Hold {
        self.rules.hold(statement.into(), Point::Request)
    }

    /// Keeps the server's whole reply to the next such statement from the client, and all that follows it. It has
    /// arrived when the server is ready for the next query.
    pub fn hold_reply(&self, statement: impl Into<Statement>) -> Hold {
        self.rules.hold(statement.into(), Point::Reply)
    }

    /// Cuts the connection instead of passing on such a statement, `times` times: not done, and no reply.
    pub fn lose_request(&self, statement: impl Into<Statement>, times: usize) -> Loss {
        self.rules.lose(statement.into(), Point::Request, times)
    }

    /// Cuts the connection instead of passing on the server's reply to such a statement, `times` times: done, but the
    /// reply was lost.
    pub fn lose_reply(&self, statement: impl Into<Statement>, times: usize) -> Loss {
        self.rules.lose(statement.into(), Point::Reply, times)
    }

    /// How many statements clients have executed through it.
    pub fn statements(&self) -> u64 {
        self.rules.statements()
    }
}
