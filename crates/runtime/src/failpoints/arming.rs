//! What is to happen where: `relay::after_claim=abort@3;worker::before_commit=terminate`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failpoints::{Can, Failpoint, Of, is_in_attempt};

/// What a point says that is to fail.
pub(super) const ERROR: &str = "error";
/// What a part looks like.
const EXPECTED: &str = "<point>=<action> or <point>=<action>@<number of the passing>, with abort, kill, stop, terminate, \
     tell, sleep(<milliseconds>) or error as action, several separated by semicolons";

/// Nothing was armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} {problem}; expected {expected}")]
pub struct ArmError {
    /// The part that is not understood.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub expected: String,
}

/// What is to happen at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The process dies as from SIGKILL: nothing is closed, nothing dropped.
    Abort,
    /// The process sends itself SIGKILL, and whoever passes gets no further.
    Kill,
    /// The process sends itself SIGSTOP, and goes on when it is let.
    Stop,
    /// The process says that the point is passed, each time, and goes on.
    Tell,
    /// The process sends itself SIGTERM and goes on.
    Terminate,
    /// The step waits for this many milliseconds.
    Sleep(u64),
    /// The step answers with an error.
    Error,
}

/// A point, and what is to happen when it is passed for the n-th time.
#[derive(Debug, PartialEq, Eq)]
struct Armed {
    point: Failpoint,
    action: Action,
    nth: u32,
}

/// Arms points by a text: `relay::after_claim=abort@3` lets the process die when it passes that point for the third time,
/// and `@1` may be left out. `known` are the points of the process.
///
/// # Errors
/// The first part that is not understood. Nothing is armed then.
pub fn arm(text: &str, known: &[Failpoint]) -> Result<(), ArmError> {
    let mut ends: BTreeMap<&'static str, Vec<Armed>> = BTreeMap::new();
    for armed in read(text, known)? {
        let nth = armed.nth;
        let before = if nth > 1 {
            format!("{}*off->", nth - 1)
        } else {
            String::new()
        };
        match armed.action {
            Action::Abort | Action::Kill | Action::Stop | Action::Tell | Action::Terminate => {
                ends.entry(armed.point.at).or_default().push(armed);
            }
            Action::Sleep(milliseconds) => set(armed.point, &format!("{before}1*return({milliseconds})->off")),
            Action::Error => set(armed.point, &format!("{before}1*return({ERROR})->off")),
        }
    }
    for (at, armed) in ends {
        let counted: Vec<(Armed, AtomicU32)> = armed.into_iter().map(|armed| (armed, AtomicU32::new(0))).collect();
        let passed = move || {
            for (armed, times) in &counted {
                if !armed.point.is_passed() {
                    continue;
                }
                let nth = times.fetch_add(1, Ordering::SeqCst) + 1;
                if nth == armed.nth || armed.action == Action::Tell {
                    armed.happen();
                }
            }
        };
        // Only what is no name is refused, and these are constants.
        let _ = fail::cfg_callback(at, passed);
    }
    Ok(())
}

fn set(point: Failpoint, actions: &str) {
    // Only what is no action is refused, and these are made here.
    let _ = fail::cfg(point.at, actions);
}

fn read(text: &str, known: &[Failpoint]) -> Result<Vec<Armed>, ArmError> {
    let mut all: Vec<Armed> = Vec::new();
    for part in text.split(';') {
        let armed = read_part(part.trim(), known)?;
        let ends = |armed: &Armed| !matches!(armed.action, Action::Sleep(_) | Action::Error);
        let clashes = |other: &Armed| {
            other.point == armed.point || (other.point.at == armed.point.at && !(ends(other) && ends(&armed)))
        };
        if all.iter().any(clashes) {
            return Err(refused(part.trim(), "is a second action at one point"));
        }
        all.push(armed);
    }
    Ok(all)
}

fn read_part(part: &str, known: &[Failpoint]) -> Result<Armed, ArmError> {
    let (name, rest) = part
        .split_once('=')
        .ok_or_else(|| refused(part, "has no equals sign"))?;
    let Some(point) = known.iter().find(|point| point.name == name.trim()) else {
        let names: Vec<&str> = known.iter().map(|point| point.name).collect();
        return Err(ArmError {
            part: part.to_owned(),
            problem: "names no point".to_owned(),
            expected: format!("one of {}", names.join(", ")),
        });
    };
    let (action, nth) = match rest.split_once('@') {
        Some((action, nth)) => {
            let number = nth.trim().parse().ok().filter(|nth| *nth > 0);
            (
                action,
                number.ok_or_else(|| refused(part, "has no number from 1 after @"))?,
            )
        }
        None => (rest, 1),
    };
    let action = read_action(action.trim()).ok_or_else(|| refused(part, "names no action"))?;
    let least = match action {
        Action::Abort | Action::Kill | Action::Stop | Action::Tell | Action::Terminate => Can::End,
        Action::Sleep(_) => Can::Wait,
        Action::Error => Can::Fail,
    };
    if point.can < least {
        return Err(refused(part, "is an action that this point has not"));
    }
    Ok(Armed {
        point: *point,
        action,
        nth,
    })
}

fn read_action(text: &str) -> Option<Action> {
    match text {
        "abort" => Some(Action::Abort),
        "kill" => Some(Action::Kill),
        "stop" => Some(Action::Stop),
        "tell" => Some(Action::Tell),
        "terminate" => Some(Action::Terminate),
        ERROR => Some(Action::Error),
        other => {
            let milliseconds = other.strip_prefix("sleep(")?.strip_suffix(')')?;
            milliseconds.parse().ok().map(Action::Sleep)
        }
    }
}

fn refused(part: &str, problem: &str) -> ArmError {
    ArmError {
        part: part.to_owned(),
        problem: problem.to_owned(),
        expected: EXPECTED.to_owned(),
    }
}

impl Failpoint {
    /// Whether this passing is one of those that count.
    fn is_passed(self) -> bool {
        match self.of {
            Of::Anyone => true,
            Of::Attempt => is_in_attempt(),
            Of::Others => !is_in_attempt(),
        }
    }
}

impl Armed {
    fn happen(&self) {
        // Right to the end of the file, whatever the log filter is: the next instant may be the last.
        let _ = writeln!(std::io::stderr(), "failpoint {}: {:?}", self.point.name, self.action);
        match self.action {
            Action::Abort => std::process::abort(),
            Action::Kill => {
                send("-KILL");
                loop {
                    std::thread::park();
                }
            }
            Action::Stop => send("-STOP"),
            Action::Terminate => send("-TERM"),
            // It is told, or carried out where the point is.
            Action::Tell | Action::Sleep(_) | Action::Error => {}
        }
    }
}

/// Sends this process a signal, by the command, so that no library comes in for it. A test sees when nothing was sent.
fn send(signal: &str) {
    let _ = Command::new("kill")
        .args([signal, &std::process::id().to_string()])
        .status();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failpoints::POINTS;

    fn refusal(text: &str) -> String {
        read(text, POINTS).unwrap_err().to_string()
    }

    #[test]
    fn a_text_arms_points_with_the_number_of_the_passing() {
        let armed = read("relay::after_claim=abort@3; worker::before_commit = terminate", POINTS).unwrap();
        let told: Vec<_> = armed
            .iter()
            .map(|armed| (armed.point.name, armed.action, armed.nth))
            .collect();
        assert_eq!(
            told,
            [
                ("relay::after_claim", Action::Abort, 3),
                ("worker::before_commit", Action::Terminate, 1)
            ]
        );
        let armed = read("rescuer::after_tasks=sleep(20)@2;relay::after_mark=error", POINTS).unwrap();
        assert_eq!(
            armed.iter().map(|armed| armed.action).collect::<Vec<_>>(),
            [Action::Sleep(20), Action::Error]
        );
    }

    #[test]
    fn a_text_that_is_not_understood_is_refused_with_its_part_and_what_was_expected() {
        for (text, problem) in [
            ("", "has no equals sign"),
            ("relay::after_claim=abort;", "has no equals sign"),
            ("relay::after_claim", "has no equals sign"),
            ("relay::after_claim=explode", "names no action"),
            ("relay::after_claim=sleep", "names no action"),
            ("relay::after_claim=sleep(1s)", "names no action"),
            ("relay::after_claim=abort@0", "no number from 1"),
            ("relay::after_claim=abort@x", "no number from 1"),
            ("worker::after_claim=error", "an action that this point has not"),
            ("worker::after_commit=sleep(1)", "an action that this point has not"),
            ("relay::after_claim=abort;relay::after_claim=abort@2", "a second action"),
        ] {
            let told = refusal(text);
            assert!(
                told.contains(problem) && told.contains("expected <point>=<action>"),
                "{text}: {told}"
            );
        }
        let told = refusal("relay::after_claim=abort;relay::afterclaim=abort");
        assert!(
            told.starts_with("\"relay::afterclaim=abort\" names no point; expected one of relay::after_claim, "),
            "{told}"
        );
    }

    #[test]
    fn names_are_the_steps_of_one_point_each() {
        let names: std::collections::BTreeSet<&str> = POINTS.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), POINTS.len());
        assert!(names.iter().all(|name| name.split("::").count() == 2));
    }
}
