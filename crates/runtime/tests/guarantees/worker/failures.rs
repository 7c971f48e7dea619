//! Handlers that panic, take too long, or fail with more words than anyone keeps.

use std::fmt;
use std::future::pending;
use std::panic::panic_any;
use std::time::Duration;

use aftercommit_domain::failure::MAX_FAILURE_TEXT;
use aftercommit_domain::tasks::{Retryable, TaskContext, TaskState, completed};
use aftercommit_runtime::EngineOptions;
use aftercommit_runtime::worker::TopicOverrides;
use tokio::time::Instant;

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::log::CapturedLog;
use crate::support::rig::{Rig, workers};

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt_whatever_it_carries_and_the_worker_lives() {
    let rig = Rig::new();
    let handler = Handler(async |task: Deliver, _| match task.parcel_id {
        1 => panic!("dropped it"),
        2 => panic!("dropped parcel {}", task.parcel_id),
        3 => panic_any(42_u8),
        _ => completed(),
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let mut letters = Vec::new();
    for (parcel, message) in [
        (1, "panicked: dropped it"),
        (2, "panicked: dropped parcel 2"),
        (3, "panicked: a panic without a message"),
    ] {
        let id = rig.enqueue(&deliver(parcel)).await;
        rig.until_state(id, TaskState::Dead).await;
        letters.push((rig.dead_letter(id).await, message));
    }
    for (letter, message) in letters {
        assert_eq!((letter.attempts, letter.failure.code.as_ref()), (3, "handler.panicked"));
        assert_eq!(letter.failure.message, message);
    }
    let id = rig.enqueue(&deliver(4)).await;
    rig.until_state(id, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_longer_than_it_may_is_dropped_and_that_is_a_failed_attempt() {
    struct Run(Seen<(u32, Duration)>, u32, Instant);
    impl Drop for Run {
        fn drop(&mut self) {
            self.0.add((self.1, self.2.elapsed()));
        }
    }
    let rig = Rig::new();
    let dropped = Seen::nothing();
    let noted = dropped.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        let run = Run(noted.clone(), ctx.attempt(), Instant::now());
        async move {
            let _run = run;
            pending().await
        }
    });
    let options = EngineOptions {
        timeout: Duration::from_secs(5),
        ..workers()
    };
    let engine = rig.start(options, vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Dead).await;
    assert_eq!(
        dropped.all(),
        [1, 2, 3].map(|attempt| (attempt, Duration::from_secs(5)))
    );
    let failure = rig.dead_letter(id).await.failure;
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        ("handler.timed_out", "timed out after 5s")
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn configuration_wins_over_what_a_contract_says_of_its_attempts() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| Err::<(), _>(fmt::Error).retryable().and_then(|()| completed()));
    let overrides = TopicOverrides {
        max_attempts: Some(1),
        ..TopicOverrides::default()
    };
    let options = EngineOptions {
        topics: [("deliveries".parse().unwrap(), overrides)].into(),
        ..workers()
    };
    let engine = rig.start(options, vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Dead).await;
    assert_eq!(rig.dead_letter(id).await.attempts, 1);
    engine.stop().await;
}

/// Ten megabytes with control characters, and a source with as much.
#[derive(Debug)]
struct Endless(Option<Box<Self>>);

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = if self.0.is_some() {
            "no \0 end\u{1b}[31m "
        } else {
            "no \0 bottom\u{1b}[31m "
        };
        f.write_str(&words.repeat(700_000))
    }
}

impl std::error::Error for Endless {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

#[tokio::test(start_paused = true)]
async fn ten_megabytes_of_error_text_are_cut_to_what_is_kept_without_control_characters() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| {
        let error = Endless(Some(Box::new(Endless(None))));
        Err::<(), _>(error).retryable().and_then(|()| completed())
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Dead).await;
    let failure = rig.dead_letter(id).await.failure;
    assert_eq!(failure.chain.len(), 1);
    for text in failure.chain.iter().chain([&failure.message]) {
        assert!(
            (MAX_FAILURE_TEXT - 3..=MAX_FAILURE_TEXT).contains(&text.len()),
            "{}",
            text.len()
        );
        assert!(!text.contains(['\0', '\u{1b}']));
    }
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_handlers_error_is_in_no_dead_letter_and_no_log() {
    let log = CapturedLog::start();
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| {
        let error =
            std::io::Error::other("cannot reach postgres://me:canary@db.example/app: password=canary was refused");
        Err::<(), _>(error).retryable().and_then(|()| completed())
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Dead).await;
    assert_eq!(
        rig.dead_letter(id).await.failure.message,
        "cannot reach postgres://‹redacted›@db.example/app: password=‹redacted› was refused"
    );
    let lines = log.lines_with("canary");
    assert!(lines.is_empty(), "{lines:?}");
    engine.stop().await;
}
