//! Points at which a test makes a process die, stop, wait or fail. Only with the feature `failpoints`, which no shipped
//! program has.
//!
//! A name says the step and what is done already. Nothing happens at a point until it is armed ([`arm`]).

mod arming;
mod points;

use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{SettleError, Stop};

pub use arming::{ArmError, arm};
pub use points::*;

/// A point that a process passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint {
    /// Its name: the step, and what is done already.
    pub name: &'static str,
    /// The name under which the code passes it.
    at: &'static str,
    can: Can,
    of: Of,
}

/// What can be done at a point, each with what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Can {
    /// Die, or be told to stop.
    End,
    /// Wait.
    Wait,
    /// Answer with an error.
    Fail,
}

/// Whose passing counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Anyone,
    /// A handler's.
    Attempt,
    /// A request's, or whatever else runs in no attempt.
    Others,
}

impl Failpoint {
    /// A point at which a process can die, be told to stop, or wait.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            at: name,
            can: Can::Wait,
            of: Of::Anyone,
        }
    }

    /// One at which the step can also fail.
    const fn fallible(name: &'static str) -> Self {
        Self {
            can: Can::Fail,
            ..Self::new(name)
        }
    }

    /// One in an adapter, which passes it by `fail::fail_point!`: a process can die there, or be told to stop.
    pub const fn of_adapter(name: &'static str) -> Self {
        Self {
            can: Can::End,
            ..Self::new(name)
        }
    }

    /// The same point, passed by a handler, under a name of its own.
    const fn of_attempts(name: &'static str, at: &'static str) -> Self {
        Self {
            at,
            of: Of::Attempt,
            ..Self::of_adapter(name)
        }
    }

    /// What is left of a point that handlers pass under another name: requests, and whatever else runs in no attempt.
    pub const fn of_requests(name: &'static str) -> Self {
        Self {
            of: Of::Others,
            ..Self::of_adapter(name)
        }
    }
}

/// A point was made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("made to fail at {name}")]
pub struct Injected {
    name: &'static str,
}

impl From<Injected> for Failure {
    fn from(injected: Injected) -> Self {
        Self::new("failpoint", ErrorClass::Outage, injected.to_string())
    }
}

impl From<Injected> for Stop {
    fn from(injected: Injected) -> Self {
        Self::Failed {
            failure: injected.into(),
            retry_after: None,
        }
    }
}

impl From<Injected> for SettleError {
    fn from(injected: Injected) -> Self {
        Self::Unavailable {
            reason: injected.to_string(),
        }
    }
}

/// Passes `point`: returns at once, unless it is armed. One that is armed to fail goes on all the same.
pub async fn pass(point: Failpoint) {
    // Only a point that can fail is ever armed to.
    let _ = try_pass(point).await;
}

/// Passes `point`: returns at once, unless it is armed.
///
/// # Errors
/// [`Injected`] when it is armed to fail.
pub async fn try_pass(point: Failpoint) -> Result<(), Injected> {
    let armed = fail::eval(point.at, Option::unwrap_or_default);
    match armed.as_deref() {
        None => Ok(()),
        Some(arming::ERROR) => Err(Injected { name: point.name }),
        Some(milliseconds) => {
            let wait = milliseconds.parse().map_or(Duration::ZERO, Duration::from_millis);
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}

tokio::task_local! {
    static IN_ATTEMPT: ();
}

/// Runs a handler: what it passes is told from what requests pass.
pub(crate) async fn in_attempt<T>(handler: impl Future<Output = T>) -> T {
    IN_ATTEMPT.scope((), handler).await
}

fn is_in_attempt() -> bool {
    IN_ATTEMPT.try_with(|()| ()).is_ok()
}
