//! The points of a whole process, and what its environment lets happen there. Only with the feature `failpoints`, which no
//! shipped program has.

use std::collections::BTreeSet;

use aftercommit_platform_config::{ConfigError, FAILPOINTS_VARIABLE, Settings};
use aftercommit_runtime::failpoints::{self, Failpoint};

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

/// All that a process with the providers of this build can pass: the runtime's, this crate's, the adapters'. One name may
/// stand for the same step in several adapters.
pub fn all() -> Vec<Failpoint> {
    let adapters: &[&[&'static str]] = &[
        #[cfg(feature = "sqlite")]
        aftercommit_platform_embedded_sqlite::failpoints::POINTS,
        #[cfg(feature = "postgres")]
        aftercommit_platform_db_postgres::failpoints::POINTS,
        #[cfg(feature = "postgres")]
        aftercommit_platform_queue_postgres::failpoints::POINTS,
        #[cfg(feature = "amqp")]
        aftercommit_platform_queue_amqp::failpoints::POINTS,
    ];
    let of_adapters: BTreeSet<&'static str> = adapters.iter().copied().flatten().copied().collect();
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

/// Arms what the environment says.
pub(crate) fn arm(settings: &Settings) -> Result<(), StartupError> {
    let Some(text) = &settings.failpoints else {
        return Ok(());
    };
    failpoints::arm(text, &all()).map_err(|refusal| {
        let problem = format!("{:?} {}", refusal.part, refusal.problem);
        let error = ConfigError::new(FAILPOINTS_VARIABLE, &problem).expected(&refusal.expected);
        StartupError::Config(error.into())
    })
}
