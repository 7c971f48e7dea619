//! What is paused, as `/ready` tells of it.

use aftercommit_domain::tasks::Pause;
use aftercommit_domain::time::Timestamp;

/// Of more pauses than this only their number is told.
const MOST_SHOWN: usize = 20;

/// What is paused.
#[derive(Debug, Default)]
pub(crate) struct Paused(pub(crate) Vec<Pause>);

impl Paused {
    /// The lines that tell of them, each made by `line`.
    pub(crate) fn lines(&self, line: impl Fn(&str, Timestamp, &str) -> String) -> Vec<String> {
        let told = self.described().map(|(what, since, todo)| line(&what, since, &todo));
        told.chain(self.others()).collect()
    }

    /// Of each: what it is, since when, and what lets it go on.
    fn described(&self) -> impl Iterator<Item = (String, Timestamp, String)> {
        self.0.iter().take(MOST_SHOWN).map(|pause| {
            let todo = match pause.until {
                Some(until) => format!("it goes on at {}", until.format("%Y-%m-%dT%H:%M:%SZ")),
                None => format!("`aftercommit resume {}` lets it go on", pause.target),
            };
            (pause.to_string(), pause.since, todo)
        })
    }

    /// That there are more than were described.
    fn others(&self) -> Option<String> {
        let others = self.0.len().saturating_sub(MOST_SHOWN);
        (others > 0).then(|| format!("{others} more pauses; see `aftercommit pauses`"))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::tasks::Reason;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_000 + second, 0).unwrap()
    }

    fn pause(until: Option<Timestamp>) -> Pause {
        Pause {
            target: "topic:receipts".parse().unwrap(),
            reason: Reason::new("the provider is down"),
            actor: "ada".into(),
            since: at(0),
            until,
        }
    }

    #[test]
    fn a_pause_is_told_with_who_why_and_what_lets_it_go_on() {
        let what = "topic:receipts is paused by ada: the provider is down";
        for (until, todo) in [
            (None, "`aftercommit resume topic:receipts` lets it go on"),
            (Some(at(60)), "it goes on at 1970-01-01T00:17:40Z"),
        ] {
            let told: Vec<_> = Paused(vec![pause(until)]).described().collect();
            assert_eq!(told, [(what.to_owned(), at(0), todo.to_owned())]);
        }
    }

    #[test]
    fn of_more_than_twenty_pauses_the_others_are_counted() {
        let paused = Paused(vec![pause(None); 25]);
        assert_eq!(paused.described().count(), 20);
        assert_eq!(paused.others().unwrap(), "5 more pauses; see `aftercommit pauses`");
        assert_eq!(Paused(vec![pause(None); 20]).others(), None);
    }
}
