//! What ships is not what the tests of crashes are built of.

use std::process::Command;

use aftercommit_e2e::Program;

#[test]
fn the_program_as_it_ships_has_no_points_to_die_at_and_refuses_the_variable_for_them() {
    let program = Program::Everything.binary();
    let place = tempfile::tempdir().unwrap();
    let refused = Command::new(&program)
        .args(["config", "check"])
        .env_clear()
        .env("AFTERCOMMIT_FAILPOINTS", "relay::after_claim=abort")
        .current_dir(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("AFTERCOMMIT_FAILPOINTS: unknown key"), "{said}");

    let bytes = std::fs::read(&program).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for text in [
        "AFTERCOMMIT_FAILPOINTS",
        "relay::after_claim",
        "unit_of_work::before_commit",
    ] {
        assert!(!has(text), "{text}");
    }
    assert!(has("AFTERCOMMIT_CONFIG"), "the look itself finds what is there");
}
