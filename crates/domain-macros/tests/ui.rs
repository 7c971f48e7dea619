//! What the derives refuse, with which words, and what they accept.

/// Each refused contract has its whole message beside it, because the message is what a user gets. Both kinds in one go,
/// because each go compiles all that contracts need.
#[test]
fn a_contract_that_breaks_a_rule_does_not_compile_and_says_why_and_one_that_keeps_the_rules_means_what_it_says() {
    let contracts = trybuild::TestCases::new();
    contracts.compile_fail("tests/ui/refused/*.rs");
    contracts.pass("tests/ui/accepted/*.rs");
}
