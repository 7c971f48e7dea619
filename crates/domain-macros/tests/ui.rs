//! What the derives refuse, with which words, and what they accept.

/// Each refused contract has its whole message beside it, because the message is what a user gets.
#[test]
fn a_contract_that_breaks_a_rule_does_not_compile_and_the_message_names_the_way_out() {
    trybuild::TestCases::new().compile_fail("tests/ui/refused/*.rs");
}

#[test]
fn a_contract_that_keeps_the_rules_compiles_and_means_what_it_says() {
    trybuild::TestCases::new().pass("tests/ui/accepted/*.rs");
}
