//! One direction of one connection.

use std::io;
use std::sync::Mutex;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::sleep;

use super::conversation::{Conversation, Step};
use super::{Direction, Flow, lock};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

pub(super) struct Pump<'a> {
    pub(super) direction: Direction,
    pub(super) flow: watch::Receiver<Flow>,
    pub(super) conversation: Option<&'a Mutex<Conversation>>,
}

impl Pump<'_> {
    /// `Ok`: the sender has ended its side in order. `Err`: the connection is to be cut.
    pub(super) async fn run(
        mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            self.wait_until_it_flows().await?;
            let count = tokio::select! {
                // The test changes the flow before it lets something be sent, so the change is seen first.
                biased;
                changed = self.flow.changed() => {
                    changed.map_err(|_gone| cut())?;
                    continue;
                }
                count = reader.read(&mut piece) => count?,
            };
            if !self.lets_pass().await? {
                if count == 0 {
                    // Of a dead connection, the other end does not hear the farewell either.
                    return std::future::pending().await;
                }
                self.forget();
                continue;
            }
            if count == 0 {
                return writer.shutdown().await;
            }
            self.pass_on(&piece[..count], &mut writer).await?;
        }
    }

    async fn wait_until_it_flows(&mut self) -> io::Result<()> {
        let flows = self.flow.wait_for(|flow| *flow != Flow::Blackhole).await;
        flows.map(drop).map_err(|_gone| cut())
    }

    /// Waits as long as the flow says; answers whether what was read goes on.
    async fn lets_pass(&mut self) -> io::Result<bool> {
        loop {
            let flow = *self.flow.borrow_and_update();
            match flow {
                Flow::Pass => return Ok(true),
                Flow::Discard => return Ok(false),
                Flow::Blackhole => self.wait_until_it_flows().await?,
                Flow::Delay(delay) => tokio::select! {
                    () = sleep(delay) => return Ok(true),
                    changed = self.flow.changed() => changed.map_err(|_gone| cut())?,
                },
            }
        }
    }

    fn forget(&self) {
        if let Some(conversation) = self.conversation {
            lock(conversation).give_up();
        }
    }

    async fn pass_on(&self, bytes: &[u8], writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Some(conversation) = self.conversation else {
            return writer.write_all(bytes).await;
        };
        let steps = lock(conversation).take(self.direction, bytes);
        for step in steps {
            match step {
                Step::Send(bytes) => writer.write_all(&bytes).await?,
                Step::Decide(rule) => {
                    if !rule.decide().await {
                        return Err(cut());
                    }
                }
            }
        }
        Ok(())
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
