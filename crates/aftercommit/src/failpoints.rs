//! The points of a whole process, and what its environment lets happen there. Only with the feature `failpoints`, which no
//! shipped program has.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_platform_config::{ConfigError, FAILPOINTS_VARIABLE, Settings};
use aftercommit_runtime::failpoints::{self, Failpoint};

use crate::providers::failpoints::OF_ADAPTERS;
use crate::startup::StartupError;

/// The engine has stopped, and the address is still open.
pub(crate) const SHUTDOWN_AFTER_ENGINE: Failpoint = Failpoint::new("shutdown::after_engine");
/// Nobody can ask this process any more, and its database is open.
pub(crate) const SHUTDOWN_BEFORE_CLOSE: Failpoint = Failpoint::new("shutdown::before_close");
/// Everything is closed.
pub(crate) const SHUTDOWN_AFTER_CLOSE: Failpoint = Failpoint::new("shutdown::after_close");

/// Those of this crate.
pub const POINTS: &[Failpoint] = &[SHUTDOWN_AFTER_ENGINE, SHUTDOWN_BEFORE_CLOSE, SHUTDOWN_AFTER_CLOSE];

/// What handlers pass too, under names of their own.
const OF_UNITS_OF_WORK: &str = "unit_of_work::";

/// All that a process with the providers of this build can pass: the runtime's, this crate's, the adapters', and those of what
/// was plugged in. One name may stand for the same step in several adapters.
pub fn all() -> Vec<Failpoint> {
    let mut of_adapters = plugged_in().clone();
    of_adapters.extend(OF_ADAPTERS.iter().copied().flatten());
    let of_adapters = of_adapters.into_iter().map(|name| {
        if name.starts_with(OF_UNITS_OF_WORK) {
            Failpoint::of_requests(name)
        } else {
            Failpoint::of_adapter(name)
        }
    });
    let own = failpoints::POINTS.iter().chain(POINTS).copied();
    own.chain(of_adapters).collect()
}

/// Those of adapters that applications plug in.
static PLUGGED_IN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Adds the points of an adapter that is plugged in, which it passes by `fail::fail_point!`, to [`all`].
pub fn plug_in(points: &[&'static str]) {
    plugged_in().extend(points);
}

fn plugged_in() -> MutexGuard<'static, BTreeSet<&'static str>> {
    PLUGGED_IN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Arms what the environment says.
pub(crate) fn arm(settings: &Settings) -> Result<(), StartupError> {
    tracing::warn!("this is a build for tests: {FAILPOINTS_VARIABLE} can make it die at named points");
    let Some(text) = &settings.failpoints else {
        return Ok(());
    };
    failpoints::arm(text, &all()).map_err(|refusal| {
        let problem = format!("{:?} {}", refusal.part, refusal.problem);
        let error = ConfigError::new(FAILPOINTS_VARIABLE, &problem).expected(&refusal.expected);
        StartupError::Config(error.into())
    })
}

#[cfg(test)]
mod tests {
    use aftercommit_platform_config::CONFIG_EXIT_CODE;

    use super::*;

    fn settings(text: &str) -> Settings {
        let mut settings = Settings::from_sources([], None).unwrap();
        settings.failpoints = Some(text.to_owned());
        settings
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn a_text_that_is_not_understood_is_a_configuration_that_is_refused() {
        let error = arm(&settings("relay::after_claim=abort;worker::after_claim=vanish@2")).unwrap_err();
        assert_eq!(error.exit_code(), CONFIG_EXIT_CODE);
        assert_eq!(
            error.to_string(),
            "AFTERCOMMIT_FAILPOINTS: \"worker::after_claim=vanish@2\" names no action; expected <point>=<action> or \
             <point>=<action>@<number of the passing>, with abort, kill, stop, terminate, tell, sleep(<milliseconds>) or error as \
             action, several separated by semicolons"
        );
        let error = arm(&settings("relay::after_clam=abort")).unwrap_err().to_string();
        assert!(
            error.contains("\"relay::after_clam=abort\" names no point; expected one of relay::after_claim, "),
            "{error}"
        );
    }
}
