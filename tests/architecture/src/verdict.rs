//! How a rule of the shape fails.

use std::fmt::Display;

/// Passes when there are no `problems`. Otherwise fails with the rule, what to do, and every problem on a line of its own.
pub fn none_of<P: Display>(problems: impl IntoIterator<Item = P>, rule_and_way_out: &str) {
    let problems: Vec<String> = problems.into_iter().map(|problem| format!("\n  - {problem}")).collect();
    assert!(problems.is_empty(), "\n{rule_and_way_out}{}\n", problems.concat());
}
