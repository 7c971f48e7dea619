//! Hearing the rings of other processes, on a connection that does nothing else.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::randomness::Randomness;
use sqlx::postgres::PgListener;
use sqlx::{Executor as _, PgPool};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::bell::{Bell, CHANNEL, PAUSE, Ring, Told};
use crate::trouble::told;
use crate::wake::Wake;

/// A connection that was silent for this long is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(30);
/// How long its answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The pauses before a lost connection is made again grow from one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What listening needs.
pub(crate) struct Listening<F> {
    pub(crate) bell: Arc<Bell>,
    pub(crate) relay: Arc<Wake>,
    pub(crate) randomness: Arc<dyn Randomness>,
    /// Makes a pool of one connection. A new one each time, because a listener that is dropped gives its connection back
    /// only when the server has answered once more.
    pub(crate) connect: F,
}

impl<F: Fn() -> PgPool + Send + Sync> Listening<F> {
    /// Listens from when someone waits for others until it is closing.
    pub(crate) async fn run(self, closing: CancellationToken) {
        closing.run_until_cancelled(self.keep_listening()).await;
    }

    async fn keep_listening(&self) {
        // Nothing was bumped yet when it is 0.
        self.bell.wanted.changed(0).await;
        let (mut pause, mut is_known) = (FIRST_PAUSE, false);
        loop {
            let started = Instant::now();
            let error = self.listen().await;
            self.bell.set_listening(false);
            let (error, was_heard) = match error {
                Broken::BeforeListening(error) => (error, false),
                Broken::AfterListening(error) => (error, true),
            };
            if was_heard || started.elapsed() > LONGEST_PAUSE {
                (pause, is_known) = (FIRST_PAUSE, false);
            }
            if is_known {
                tracing::debug!(%error, "other processes still cannot be heard");
            } else {
                tracing::warn!(%error, "other processes cannot be heard for now; what they commit is found by polling");
                is_known = true;
            }
            sleep(pause.mul_f64(0.5 + self.randomness.unit() * 0.5)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Listens on one connection until it breaks.
    async fn listen(&self) -> Broken {
        let pool = (self.connect)();
        let connected = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let mut listener = match connected.await {
            Ok(listener) => listener,
            Err(error) => return Broken::BeforeListening(told(&error)),
        };
        self.bell.set_listening(true);
        // What was rung while nobody listened.
        self.wake(Ring::of(Told::Anything));
        // The first of several at once counts at once; the others wait and are one.
        let (mut waiting, mut not_before) = (Ring::default(), Instant::now());
        loop {
            if !waiting.is_empty() && not_before <= Instant::now() {
                self.wake(std::mem::take(&mut waiting));
                not_before = Instant::now() + PAUSE;
            }
            let heard = tokio::select! {
                heard = timeout(SILENCE, listener.try_recv()) => heard,
                () = sleep_until(not_before), if !waiting.is_empty() => continue,
            };
            match heard {
                Ok(Ok(Some(notification))) => {
                    if let Some(ring) = Ring::read(notification.payload(), &self.bell.process) {
                        ring.into_iter().for_each(|told| waiting.add(told));
                    }
                }
                Ok(Ok(None)) => return Broken::AfterListening("the connection was lost".to_owned()),
                Ok(Err(error)) => return Broken::AfterListening(told(&error)),
                Err(_) => match timeout(ANSWER, listener.execute("SELECT 1")).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Broken::AfterListening(told(&error)),
                    Err(_) => return Broken::AfterListening(format!("no answer within {ANSWER:?}")),
                },
            }
        }
    }

    fn wake(&self, ring: Ring) {
        if ring.tells(&Told::Outbox) || ring.tells(&Told::Anything) {
            self.relay.bump();
        }
        if ring.tells(&Told::OutboxExpected) {
            self.relay.expect_here();
        }
        // Nobody may follow.
        let _ = self.bell.heard.send(ring);
    }
}

/// Why nothing is heard any more.
enum Broken {
    BeforeListening(String),
    AfterListening(String),
}
