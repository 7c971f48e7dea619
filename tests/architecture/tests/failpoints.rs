//! Points at which a process can be made to die: what is listed is passed, and only by one line.

use std::collections::BTreeSet;

use aftercommit_architecture_tests::{Kind, Member, code, members, none_of, rust_files};

/// What a point is declared with.
const DECLARATION: &str = "pub(crate) const ";
/// What a point of the runtime is declared with, in its list.
const MADE: [&str; 3] = ["= new(", "= fallible(", "= of_attempts("];
/// Points that adapters pass under another name.
const PASSED_BY_ADAPTERS: &str = "= of_attempts(";

fn has_points(member: &Member) -> bool {
    member.is_kit() && member.package.features.contains_key("failpoints")
}

/// The points of a package by the names of their constants, without those that are passed elsewhere.
fn declared(member: &Member) -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for file in rust_files(&format!("{}/src", member.folder)) {
        if !file.path.contains("/src/failpoints") {
            continue;
        }
        for (_, line) in code(&file.text) {
            let line = line.trim_start();
            let constant = line.strip_prefix(DECLARATION).and_then(|rest| rest.split_once(": "));
            let listed = MADE
                .iter()
                .any(|made| line.contains(made))
                .then(|| line.split_once(" = "))
                .flatten()
                .filter(|_| !line.contains(PASSED_BY_ADAPTERS));
            let names = constant.or(listed).map(|(name, _)| name.to_owned());
            points.extend(names.filter(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')));
        }
    }
    points
}

#[test]
fn every_listed_point_is_passed() {
    let mut wrong = Vec::new();
    let mut points = 0;
    for member in members().iter().filter(|member| has_points(member)) {
        let sources = rust_files(&format!("{}/src", member.folder));
        for point in declared(member) {
            points += 1;
            let passes = [format!("failpoint!({point})"), format!("failpoint!({point}?)")];
            let lines = sources.iter().flat_map(|file| code(&file.text));
            let passed = lines.filter(|(_, line)| passes.contains(&line.trim().trim_end_matches(';').to_owned()));
            if passed.count() == 0 {
                wrong.push(format!("{}: {point}", member.folder));
            }
        }
    }
    none_of(
        wrong,
        "A point that nothing passes proves nothing. Pass it, or take it out of the list:",
    );
    assert!(points >= 40, "{points}");
}

#[test]
fn the_domain_has_no_points() {
    let wrong = members()
        .iter()
        .filter(|member| member.kind == Kind::Domain && member.package.features.contains_key("failpoints"));
    none_of(
        wrong.map(Member::name),
        "The domain does nothing that could be half done. Put the point into the loop that carries it out:",
    );
}
