use super::*;

fn answer(keys: &[&str], has_any: bool) -> HeldKeys {
    HeldKeys {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        has_any,
    }
}

/// Lines that know that nothing is held.
fn known() -> Lines<u32> {
    let mut lines = Lines::new();
    lines.arrived("x", 0, false);
    let ask = lines.steps().ask;
    let question = lines.question(ask);
    lines.answered(question, &answer(&[], false));
    assert_eq!(lines.steps().run, [("x".to_owned(), 0)]);
    lines.over("x");
    lines
}

fn of(key: &str, items: &[u32]) -> Vec<(String, u32)> {
    items.iter().map(|item| (key.to_owned(), *item)).collect()
}

#[test]
fn of_one_key_one_runs_at_a_time_and_other_keys_do_not_wait() {
    let mut lines = known();
    for (key, item) in [("a", 1), ("a", 2), ("b", 3)] {
        lines.arrived(key, item, false);
    }
    assert_eq!(lines.steps().run, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    lines.over("a");
    assert_eq!(lines.steps().run, of("a", &[2]));
}

#[test]
fn a_task_that_is_given_back_keeps_its_place() {
    let mut lines = known();
    lines.arrived("a", 1, false);
    lines.arrived("a", 2, false);
    lines.steps();
    lines.again("a", 1, false);
    assert_eq!(lines.steps().run, of("a", &[1]));
}

#[test]
fn what_follows_a_held_head_is_held_behind_it_until_nothing_of_the_key_is_left() {
    let mut lines = known();
    lines.arrived("a", 1, false);
    lines.arrived("a", 2, false);
    lines.steps();
    lines.held("a");
    let steps = lines.steps();
    assert_eq!(steps.ask, ["a"]);
    let question = lines.question(steps.ask);
    lines.arrived("a", 3, false);
    lines.answered(question, &answer(&["a"], true));
    assert_eq!(lines.steps().hold, of("a", &[2, 3]));
    lines.are_held(["a".to_owned()]);
    lines.arrived("a", 4, false);
    let steps = lines.steps();
    assert_eq!(steps.ask, ["a"]);
    let question = lines.question(steps.ask);
    lines.answered(question, &answer(&[], false));
    assert_eq!(lines.steps().run, of("a", &[4]));
}

#[test]
fn a_head_that_must_wait_is_held_and_what_follows_it_is_asked_about() {
    let mut lines = known();
    lines.arrived("a", 1, true);
    lines.arrived("a", 2, false);
    assert_eq!(lines.steps().hold, of("a", &[1]));
    lines.are_held(["a".to_owned()]);
    assert_eq!(lines.steps().ask, ["a"]);
}

#[test]
fn a_new_consumer_asks_about_every_key_until_nothing_is_held() {
    let mut lines = Lines::new();
    lines.arrived("a", 1, false);
    lines.arrived("b", 2, false);
    let ask = lines.steps().ask;
    assert_eq!(ask, ["a", "b"]);
    let question = lines.question(ask);
    lines.answered(question, &answer(&["b"], true));
    let steps = lines.steps();
    assert_eq!((steps.run, steps.hold), (of("a", &[1]), of("b", &[2])));
    lines.arrived("c", 3, false);
    assert_eq!(lines.steps().ask, ["c"]);
}

#[test]
fn an_answer_from_before_something_was_held_says_nothing_of_it() {
    let mut lines = known();
    lines.arrived("a", 1, false);
    lines.arrived("b", 2, false);
    lines.steps();
    lines.held("b");
    lines.arrived("b", 3, false);
    let ask = lines.steps().ask;
    let question = lines.question(ask);
    lines.held("a");
    lines.answered(question, &answer(&[], false));
    lines.arrived("a", 4, false);
    assert_eq!(lines.steps().ask, ["a"], "what became held meanwhile is asked about");
}

#[test]
fn a_question_that_was_not_answered_is_asked_again() {
    let mut lines = Lines::new();
    lines.arrived("a", 1, false);
    let ask = lines.steps().ask;
    let question = lines.question(ask);
    lines.unanswered(question);
    assert_eq!(lines.steps().ask, ["a"]);
}

#[test]
fn lines_of_which_nothing_is_here_are_forgotten() {
    let mut lines = known();
    for number in 0..20_000_u32 {
        let key = number.to_string();
        lines.arrived(&key, number, false);
        lines.held(&key);
        lines.steps();
    }
    assert!(lines.lines.len() <= MOST_HELD + 1, "{}", lines.lines.len());
    for number in 0..20_000_u32 {
        let key = format!("free-{number}");
        lines.arrived(&key, number, false);
        let ask = lines.steps().ask;
        let question = lines.question(ask);
        lines.answered(question, &answer(&[], true));
        lines.over(&key);
    }
    assert!(lines.lines.len() <= MOST_HELD + 1, "{}", lines.lines.len());
}
