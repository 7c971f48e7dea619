//! What came of a demonstration, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use aftercommit::NodeState;
use serde_json::{Value, json};

use crate::demo::followed;
use crate::demo::metering::Metered;
use crate::demo::order::Comparison;
use crate::demo::progress::{latency, shown};
use crate::demo::tally::{Findings, Numbers};
use crate::printable::printable;

/// Findings that are told in the summary for people.
const TOLD: usize = 5;

/// What came of it.
pub(crate) struct Summary {
    pub(crate) numbers: Numbers,
    pub(crate) run: String,
    pub(crate) seed: u64,
    pub(crate) rate: u32,
    pub(crate) took: Duration,
    /// How many e-mails each address got beyond what was asked for.
    pub(crate) emails_doubled: BTreeMap<String, u32>,
    /// How many e-mails each notification led to beyond its one.
    pub(crate) notifications_doubled: BTreeMap<String, u32>,
    /// Whether the e-mails could be looked at.
    pub(crate) mail_folder: Option<String>,
    /// Whether events of one aggregate stayed in order.
    pub(crate) order: Comparison,
    /// Whether each batch was counted once.
    pub(crate) metered: Metered,
    /// What ended it before its time.
    pub(crate) ended_early: Option<String>,
    /// What to try next, one command per line.
    pub(crate) next: Vec<String>,
}

impl Summary {
    /// Whether everything is as it has to be.
    pub(crate) fn is_good(&self) -> bool {
        let emails_are_good =
            self.emails_doubled.is_empty() && self.notifications_doubled.is_empty() && self.numbers.emails_missing == 0;
        self.numbers.is_good() && emails_are_good && self.order.overtaking.is_empty() && self.metered.is_good()
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let numbers = &self.numbers;
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some(reason) = &self.ended_early {
            let _ = writeln!(text, "Ended early: {reason}.\n");
        }
        let _ = writeln!(
            text,
            "What was asked for (seed {}, run {}, {})",
            self.seed,
            self.run,
            shown(self.took)
        );
        let _ = writeln!(
            text,
            "  {} requests: {} taken, {} refused as they had to be, {} repeated under their key and answered the same",
            numbers.requests,
            numbers.taken.values().sum::<u64>(),
            numbers.refused,
            numbers.repeated
        );
        let taken: Vec<String> = numbers
            .taken
            .iter()
            .map(|(what, count)| format!("{count} {}", what.words()))
            .collect();
        for line in wrapped(&taken) {
            let _ = writeln!(text, "    {line}");
        }
        if numbers.tries > 0 {
            let _ = writeln!(
                text,
                "  {} tries got no answer and were made again under the same key, in {} outages",
                numbers.tries, numbers.troubles
            );
        }
        text.push_str("\nWhat followed\n");
        let _ = writeln!(
            text,
            "  events     {} committed, {} relayed",
            numbers.events, numbers.relayed
        );
        let _ = writeln!(text, "  tasks      {}", self.tasks());
        for words in numbers.given_up.iter().take(TOLD) {
            let _ = writeln!(text, "    given up: {}", printable(words));
        }
        if numbers.retries + numbers.ended_again > 0 {
            let _ = writeln!(
                text,
                "  again      {} retries, {} came again after they had ended (at least once is the promise)",
                numbers.retries, numbers.ended_again
            );
        }
        let _ = writeln!(text, "  records    {}", followed::records(&numbers.followed));
        let _ = writeln!(text, "  incidents  {}", followed::incidents(&numbers.followed));
        match &self.mail_folder {
            Some(folder) => {
                let _ = writeln!(text, "  e-mails    {} in {}", numbers.emails, printable(folder));
            }
            None => {
                text.push_str("  e-mails    went to a server, so that they were not looked at and nobody accepted\n");
            }
        }
        let _ = writeln!(
            text,
            "  usage      {} batches with {} records metered, each once through the inbox",
            self.metered.batches, self.metered.records
        );
        let _ = writeln!(
            text,
            "  order      {} events compared with what had happened to the same before",
            self.order.compared
        );
        let _ = writeln!(text, "  latency    commit → last effect: {}", latency(numbers));
        text.push('\n');
        text.push_str(&self.verdict());
        if !self.next.is_empty() {
            text.push_str("\nTry next\n");
            for line in &self.next {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    fn tasks(&self) -> String {
        const WORDS: [(NodeState, &str); 15] = [
            (NodeState::Completed, "completed"),
            (NodeState::Skipped, "skipped because they were no longer wanted"),
            (NodeState::Cancelled, "cancelled"),
            (NodeState::Coalesced, "one with another"),
            (NodeState::Dead, "given up (dead letters)"),
            (NodeState::Scheduled, "waiting for their time"),
            (NodeState::Retryable, "waiting for their next attempt"),
            (NodeState::Paused, "paused"),
            (NodeState::Available, "waiting for a worker"),
            (NodeState::Running, "running"),
            (NodeState::InOutbox, "in the outbox"),
            (NodeState::ToCome, "to come"),
            (NodeState::Unseen, "on the broker or without a recorded end"),
            (NodeState::SetAside, "kept aside"),
            (NodeState::Undispatched, "events not dispatched"),
        ];
        let parts = WORDS.iter().filter_map(|(state, words)| {
            let count = self.numbers.tasks_in(*state);
            (count > 0).then(|| format!("{count} {words}"))
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() {
            "none".into()
        } else {
            parts.join(", ")
        }
    }

    fn verdict(&self) -> String {
        let numbers = &self.numbers;
        if self.is_good() {
            let checked = if self.mail_folder.is_some() {
                " and every e-mail"
            } else {
                ""
            };
            return format!(
                "Nothing lost, nothing doubled, nothing stuck, nothing out of order: every request was followed to the end of \
                 everything it led to{checked}.\n"
            );
        }
        let mut text = "NOT everything is as it has to be:\n".to_owned();
        let mut tell = |what: &str, findings: &Findings| {
            if findings.count > 0 {
                let _ = writeln!(text, "  {what}: {}", findings.count);
                for words in findings.told.iter().take(TOLD) {
                    let _ = writeln!(text, "    {}", printable(words));
                }
            }
        };
        tell("lost", &numbers.lost);
        tell("doubled", &numbers.doubled);
        tell("stuck", &numbers.stuck);
        tell("not answered as expected", &numbers.surprises);
        tell("usage missing", &self.metered.missing);
        tell("usage beyond what was taken", &self.metered.beyond);
        tell("usage not answered", &self.metered.unanswered);
        tell("out of order", &out_of_order(&self.order));
        if numbers.emails_missing > 0 {
            let _ = writeln!(
                text,
                "  e-mails that tasks sent and that are not there: {}",
                numbers.emails_missing
            );
        }
        for (address, count) in self.emails_doubled.iter().take(TOLD) {
            let _ = writeln!(text, "  {count} e-mails too many to {}", printable(address));
        }
        for (notification, count) in self.notifications_doubled.iter().take(TOLD) {
            let _ = writeln!(
                text,
                "  {count} e-mails too many of the notification {}",
                printable(notification)
            );
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let numbers = &self.numbers;
        let findings = |findings: &Findings| json!({"count": findings.count, "first": findings.told});
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1_000.0);
        json!({
            "good": self.is_good(),
            "run": self.run,
            "seed": self.seed,
            "rate": self.rate,
            "seconds": self.took.as_secs_f64(),
            "ended_early": self.ended_early,
            "requests": {
                "made": numbers.requests,
                "taken": numbers.taken.values().sum::<u64>(),
                "taken_by_kind": numbers.taken,
                "refused": numbers.refused,
                "repeated": numbers.repeated,
                "tries_without_an_answer": numbers.tries,
                "outages": numbers.troubles,
                "unanswered": numbers.unanswered,
            },
            "events": {"committed": numbers.events, "relayed": numbers.relayed},
            "tasks": numbers.tasks,
            "followed": numbers.followed,
            "given_up": {"count": numbers.tasks_in(NodeState::Dead), "first": numbers.given_up},
            "retries": numbers.retries,
            "ended_again": numbers.ended_again,
            "emails": {
                "arrived": numbers.emails,
                "missing": numbers.emails_missing,
                "doubled": self.emails_doubled,
                "notifications_doubled": self.notifications_doubled,
                "folder": self.mail_folder,
            },
            "latency_ms": {
                "p50": millis(numbers.latency(0.5)),
                "p99": millis(numbers.latency(0.99)),
                "slowest": millis(numbers.slowest.map(|(took, _)| took)),
            },
            "usage": {
                "batches": self.metered.batches,
                "records": self.metered.records,
                "missing": findings(&self.metered.missing),
                "beyond": findings(&self.metered.beyond),
                "unanswered": findings(&self.metered.unanswered),
            },
            "order": {
                "compared": self.order.compared,
                "dispatches": self.order.dispatches,
                "overtaking": findings(&out_of_order(&self.order)),
            },
            "lost": findings(&numbers.lost),
            "doubled": findings(&numbers.doubled),
            "stuck": findings(&numbers.stuck),
            "surprises": findings(&numbers.surprises),
        })
    }
}

fn out_of_order(order: &Comparison) -> Findings {
    let mut findings = Findings::default();
    order.overtaking.iter().for_each(|words| findings.add(words.clone()));
    findings
}

/// As many on a line as fit.
fn wrapped(parts: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() < 76 => {
                line.push_str(", ");
                line.push_str(part);
            }
            Some(_) | None => lines.push(part.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::call::What;

    fn summary(numbers: Numbers) -> Summary {
        Summary {
            numbers,
            run: "run".into(),
            seed: 7,
            rate: 20,
            took: Duration::from_secs(31),
            emails_doubled: BTreeMap::new(),
            notifications_doubled: BTreeMap::new(),
            order: Comparison::default(),
            metered: Metered::default(),
            mail_folder: Some("mail".into()),
            ended_early: None,
            next: Vec::new(),
        }
    }

    #[test]
    fn whatever_is_wrong_is_told_and_makes_it_no_good() {
        assert!(summary(Numbers::default()).is_good());
        let mut lost = Numbers::default();
        lost.lost.add("demo-1: no InvitationCreated".into());
        let mut stuck = Numbers::default();
        stuck.stuck.add("demo-2".into());
        let missing = Numbers {
            emails_missing: 1,
            ..Numbers::default()
        };
        for (numbers, words) in [
            (lost, "no InvitationCreated"),
            (stuck, "demo-2"),
            (missing, "are not there: 1"),
        ] {
            let summary = summary(numbers);
            assert!(!summary.is_good());
            assert!(summary.describe().contains(words), "{}", summary.describe());
            assert_eq!(summary.json()["good"], false);
        }
        let doubled = Summary {
            emails_doubled: BTreeMap::from([("p1@example.com".into(), 1)]),
            ..summary(Numbers::default())
        };
        let told_twice = Summary {
            notifications_doubled: BTreeMap::from([("0192".into(), 1)]),
            ..summary(Numbers::default())
        };
        assert!(
            !told_twice.is_good()
                && told_twice
                    .describe()
                    .contains("1 e-mails too many of the notification 0192")
        );
        let mut metered = Metered::default();
        metered.beyond.add("p: 4 batches".into());
        let counted_twice = Summary {
            metered,
            ..summary(Numbers::default())
        };
        assert!(!counted_twice.is_good() && counted_twice.describe().contains("beyond what was taken: 1"));
        let overtaken = Summary {
            order: Comparison {
                compared: 2,
                dispatches: 1,
                overtaking: vec!["B came before A".into()],
            },
            ..summary(Numbers::default())
        };
        assert!(!overtaken.is_good() && overtaken.describe().contains("out of order: 1"));
        assert!(!doubled.is_good() && doubled.describe().contains("1 e-mails too many to p1@example.com"));
    }

    #[test]
    fn numbers_by_kind_have_names_and_what_was_given_up_its_reason() {
        let numbers = Numbers {
            taken: BTreeMap::from([(What::Invite, 3)]),
            tasks: BTreeMap::from([(NodeState::Completed, 2), (NodeState::Dead, 1)]),
            given_up: vec!["receipts/send 0192: mail.refused: nobody".into()],
            ..Numbers::default()
        };
        let summary = summary(numbers);
        assert!(
            summary
                .describe()
                .contains("  given up: receipts/send 0192: mail.refused: nobody\n")
        );
        let json = summary.json();
        assert_eq!(json["given_up"]["first"][0], "receipts/send 0192: mail.refused: nobody");
        assert_eq!(
            (
                &json["requests"]["taken_by_kind"]["invite"],
                &json["tasks"]["completed"]
            ),
            (&json!(3), &json!(2))
        );
    }
}
