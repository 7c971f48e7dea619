//! One client with its connection to the server.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::pump::{Broken, Pump};
use super::rules::Rule;
use super::{Arrivals, Direction, State, lock};

/// How long the far end may take to read what was sent to it before it is cut off.
const DELIVERY: Duration = Duration::from_secs(30);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Reset.
    Cut,
    /// In order.
    Close,
}

/// Counted as open for as long as it lives.
pub(super) struct Link {
    client: Option<TcpStream>,
    server: Option<TcpStream>,
    state: Arc<State>,
    ending: watch::Receiver<Option<Ending>>,
}

impl Link {
    pub(super) fn new(client: TcpStream, state: Arc<State>) -> Self {
        state.counts.send_modify(|counts| {
            counts.accepted += 1;
            counts.open += 1;
        });
        let ending = state.ending.subscribe();
        Self {
            client: Some(client),
            server: None,
            state,
            ending,
        }
    }

    pub(super) async fn run(mut self) {
        let mut ending = self.ending.clone();
        let arrivals = *lock(&self.state.arrivals);
        let ended = {
            let life = pin!(async {
                match arrivals {
                    Arrivals::Forward => self.forward().await,
                    Arrivals::Cut => Ending::Cut,
                    Arrivals::Ignore => std::future::pending().await,
                }
            });
            tokio::select! {
                biased;
                told = told_to_end(&mut ending) => told,
                by_itself = life => by_itself,
            }
        };
        match ended {
            // Dropping does it: that is what the streams are set to.
            Ending::Cut => {}
            Ending::Close => self.close().await,
        }
    }

    async fn forward(&mut self) -> Ending {
        let upstream = lock(&self.state.upstream).clone();
        let Ok(server) = TcpStream::connect(upstream).await else {
            return Ending::Cut;
        };
        let server = self.server.insert(server);
        let Some(client) = &mut self.client else {
            return Ending::Cut;
        };
        // Small messages must not wait for one another: the test decides what waits.
        let _less_delay = (client.set_nodelay(true), server.set_nodelay(true));
        let interpreter = self.state.protocol.as_ref().map(|new| Mutex::new(new()));
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let pump = |direction| Pump {
            direction,
            flow: self.state.flow(direction).subscribe(),
            interpreter: interpreter.as_ref(),
        };
        let both = tokio::try_join!(
            pump(Direction::ToServer).run(client_reads, server_writes),
            pump(Direction::ToClient).run(server_reads, client_writes),
        );
        match both {
            Ok(((), ())) => Ending::Close,
            Err(Broken::Now) => Ending::Cut,
            Err(Broken::Afterwards(direction, rule)) => {
                self.cut_after_delivery(direction, &rule).await;
                Ending::Cut
            }
        }
    }

    /// Cuts the sender off at once, and the far end when it has read all that was sent, which it shows by closing.
    async fn cut_after_delivery(&mut self, direction: Direction, rule: &Rule) {
        let (sender, far_end) = match direction {
            Direction::ToServer => (self.client.take(), &mut self.server),
            Direction::ToClient => (self.server.take(), &mut self.client),
        };
        reset(sender);
        if let Some(far_end) = far_end {
            let closed = async {
                let mut ignored = vec![0; 4096];
                while far_end.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
            };
            // One that is too busy to close has read it by then, or never will.
            let _closed = timeout(DELIVERY, closed).await;
        }
        // It has nothing to decide any more: this takes note.
        rule.decide().await;
    }

    async fn close(&mut self) {
        for stream in [self.client.take(), self.server.take()].into_iter().flatten() {
            let _closed = orderly(stream).await;
        }
    }
}

fn reset(stream: Option<TcpStream>) {
    // One that is closed already needs no reset.
    let _reset = stream.map(|stream| stream.set_zero_linger());
}

async fn orderly(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await
}

async fn told_to_end(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    if ending.changed().await.is_err() {
        return Ending::Cut;
    }
    ending.borrow_and_update().unwrap_or(Ending::Cut)
}

impl Drop for Link {
    fn drop(&mut self) {
        // Whoever closes in order has taken the streams out before.
        for stream in [self.client.take(), self.server.take()].into_iter().flatten() {
            reset(Some(stream));
        }
        self.state.counts.send_modify(|counts| counts.open -= 1);
    }
}
