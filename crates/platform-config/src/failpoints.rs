//! `AFTERCOMMIT_FAILPOINTS`: what a test lets happen at which point. Only with the feature `failpoints`; the environment alone
//! can give it, and it is no key.

/// The variable.
pub const FAILPOINTS_VARIABLE: &str = "AFTERCOMMIT_FAILPOINTS";

pub(crate) fn read(environment: &[(String, String)]) -> Option<String> {
    let mut given = environment.iter().filter(|(name, _)| name == FAILPOINTS_VARIABLE);
    given.next().map(|(_, text)| text.clone())
}
