//! How long a test is.

/// The number in an environment variable, for whoever wants a test to be longer than it usually is.
///
/// # Panics
/// It holds something else.
pub fn number(variable: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test chooses how long it is")]
    let given = std::env::var(variable);
    given.map_or(default, |text| text.parse().unwrap())
}
