//! How many tests there are at least, so that a green run cannot be one that tested nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::step::Problem;
use crate::test::Pass;

/// `xtask/expected-tests.toml`, which is compiled in: the numbers and the program that checks them belong together.
const EXPECTED: &str = include_str!("../expected-tests.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedTests {
    minimum: BTreeMap<Pass, u64>,
}

impl ExpectedTests {
    /// Reads the committed numbers.
    pub(crate) fn load() -> Result<Self, Problem> {
        toml::from_str(EXPECTED).map_err(|error| format!("xtask/expected-tests.toml: {error}").into())
    }

    /// What is wrong with `passed` tests in this pass, or a hint to raise the number. `Err` fails the run.
    pub(crate) fn judge(&self, pass: Pass, passed: u64) -> Result<Option<String>, String> {
        let Some(&minimum) = self.minimum.get(&pass) else {
            return Err(format!(
                "xtask/expected-tests.toml has no minimum for the pass `{pass}`"
            ));
        };
        if passed < minimum {
            return Err(format!(
                "only {passed} tests passed in the pass `{pass}`, but xtask/expected-tests.toml expects {minimum}; \
                 lower the number only together with the tests you removed on purpose"
            ));
        }
        // A minimum far behind protects nothing.
        let lagging = minimum + minimum / 10 < passed;
        Ok(lagging.then(|| {
            format!(
                "{passed} tests passed in the pass `{pass}`; raise its minimum of {minimum} in \
                 xtask/expected-tests.toml"
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(minimum: u64) -> ExpectedTests {
        ExpectedTests {
            minimum: BTreeMap::from([(Pass::Kit, minimum)]),
        }
    }

    #[test]
    fn fewer_tests_than_the_committed_minimum_fail_the_run() {
        assert!(expecting(10).judge(Pass::Kit, 9).is_err());
        assert_eq!(expecting(10).judge(Pass::Kit, 10), Ok(None));
    }

    #[test]
    fn a_minimum_that_lags_behind_is_mentioned() {
        assert!(expecting(10).judge(Pass::Kit, 12).is_ok_and(|hint| hint.is_some()));
    }

    #[test]
    fn a_pass_without_a_minimum_fails_the_run() {
        assert!(expecting(10).judge(Pass::Workspace, 1000).is_err());
    }

    #[test]
    fn the_committed_file_has_a_minimum_for_every_pass() {
        let expected = ExpectedTests::load().expect("the committed file is valid");
        for pass in Pass::ALL {
            assert!(expected.minimum.contains_key(&pass), "no minimum for {pass}");
        }
    }
}
