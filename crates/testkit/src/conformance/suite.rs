//! Runs scenarios, and makes their tests.

use std::time::Duration;

use crate::conformance::Provider;

/// Longer than any scenario's own deadlines add up to; whoever meets it hangs where no deadline was set.
const LONGEST: Duration = Duration::from_mins(3);

/// Runs one scenario against a fresh provider.
#[doc(hidden)]
pub fn run<P: Provider>(name: &str, scenario: impl AsyncFnOnce(&P)) {
    block_on(name, async {
        let provider = P::start().await;
        scenario(&provider).await;
        provider.stop().await;
    });
}

/// Runs the whole of one scenario on a runtime of its own.
pub(super) fn block_on(name: &str, whole: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let ended = tokio::time::timeout(LONGEST, whole).await;
        assert!(ended.is_ok(), "{name} did not end within {LONGEST:?}");
    });
}

/// One named test for each scenario of a suite, and their names. Used by the macros of the suites, which are given the
/// bare name of a type in scope.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($provider:ty, $suite:ident, [$($scenario:ident),* $(,)?]) => {
        $crate::conformance_tests!($provider, $suite, $crate::conformance::run, [$($scenario),*]);
    };
    ($provider:ty, $suite:ident, $run:path, [$($scenario:ident),* $(,)?]) => {
        mod $suite {
            use super::*;

            /// The scenarios that run here.
            pub(crate) const NAMES: &[&str] = &[$(stringify!($scenario)),*];

            #[test]
            fn no_scenario_is_left_out() {
                assert_eq!(NAMES.len(), $crate::conformance::$suite::SCENARIOS);
            }

            $(
                #[test]
                fn $scenario() {
                    $run(
                        stringify!($scenario),
                        $crate::conformance::$suite::$scenario::<$provider>,
                    );
                }
            )*
        }
    };
}
