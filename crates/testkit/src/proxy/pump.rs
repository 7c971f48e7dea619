//! One direction of one connection.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::sleep;

use super::interpreter::{Interpreter, Step};
use super::rules::Rule;
use super::{Direction, Flow, lock};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// In how many pieces what passes in a second is divided when it is throttled.
const PIECES_PER_SECOND: u32 = 20;

pub(super) struct Pump<'a> {
    pub(super) direction: Direction,
    pub(super) flow: watch::Receiver<Flow>,
    pub(super) interpreter: Option<&'a Mutex<Box<dyn Interpreter>>>,
}

/// Why a connection is to be cut.
#[derive(Debug)]
pub(super) enum Broken {
    /// One end has gone without a farewell, or a rule says that it shall look like that.
    Now,
    /// A rule says so, when this way's far end has read what was sent.
    Afterwards(Direction, Arc<Rule>),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Now
    }
}

impl Pump<'_> {
    /// `Ok`: the sender has ended its side in order. `Err`: the connection is to be cut.
    pub(super) async fn run(
        mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) -> Result<(), Broken> {
        let mut piece = vec![0; PIECE];
        loop {
            self.wait_until_it_flows().await?;
            let at_once = self.at_once();
            let count = tokio::select! {
                // The test changes the flow before it lets something be sent, so the change is seen first.
                biased;
                changed = self.flow.changed() => {
                    changed.map_err(|_gone| Broken::Now)?;
                    continue;
                }
                count = reader.read(&mut piece[..at_once]) => count?,
            };
            if !self.lets_pass(count).await? {
                if count == 0 {
                    // Of a dead connection, the other end does not hear the farewell either.
                    return std::future::pending().await;
                }
                self.forget();
                continue;
            }
            if count == 0 {
                return Ok(writer.shutdown().await?);
            }
            self.pass_on(&piece[..count], &mut writer).await?;
        }
    }

    async fn wait_until_it_flows(&mut self) -> Result<(), Broken> {
        let flows = self.flow.wait_for(|flow| *flow != Flow::Blackhole).await;
        flows.map(drop).map_err(|_gone| Broken::Now)
    }

    /// Waits as long as the flow says; answers whether what was read goes on.
    async fn lets_pass(&mut self, count: usize) -> Result<bool, Broken> {
        loop {
            let flow = *self.flow.borrow_and_update();
            match flow {
                Flow::Pass => return Ok(true),
                Flow::Discard => return Ok(false),
                Flow::Blackhole => self.wait_until_it_flows().await?,
                Flow::Delay(delay) => {
                    if self.lasts(delay).await? {
                        return Ok(true);
                    }
                }
                Flow::Throttle { bytes_per_second } => {
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    if self
                        .lasts(Duration::from_secs(1) * count / bytes_per_second.max(1))
                        .await?
                    {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Waits, unless the flow changes; answers whether it has not.
    async fn lasts(&mut self, wait: Duration) -> Result<bool, Broken> {
        tokio::select! {
            () = sleep(wait) => Ok(true),
            changed = self.flow.changed() => changed.map(|()| false).map_err(|_gone| Broken::Now),
        }
    }

    /// How much may be read at once.
    fn at_once(&self) -> usize {
        match *self.flow.borrow() {
            Flow::Throttle { bytes_per_second } => {
                let piece = usize::try_from(bytes_per_second / PIECES_PER_SECOND).unwrap_or(PIECE);
                piece.clamp(1, PIECE)
            }
            Flow::Pass | Flow::Delay(_) | Flow::Blackhole | Flow::Discard => PIECE,
        }
    }

    fn forget(&self) {
        if let Some(interpreter) = self.interpreter {
            lock(interpreter).give_up();
        }
    }

    async fn pass_on(&self, bytes: &[u8], writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), Broken> {
        let Some(interpreter) = self.interpreter else {
            return Ok(writer.write_all(bytes).await?);
        };
        let steps = lock(interpreter).take(self.direction, bytes);
        for step in steps {
            match step {
                Step::Send(bytes) => writer.write_all(&bytes).await?,
                Step::Decide(rule) => {
                    if !rule.decide().await {
                        return Err(Broken::Now);
                    }
                }
                Step::CutAfterwards(rule) => {
                    writer.shutdown().await?;
                    return Err(Broken::Afterwards(self.direction, rule));
                }
            }
        }
        Ok(())
    }
}
