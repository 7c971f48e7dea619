//! Tasks that were given up lately.

use std::time::Duration;

use aftercommit_domain::time::Timestamp;

/// Dead letters of this time are recent.
pub(crate) const RECENT: Duration = Duration::from_mins(15);

/// Dead letters of the last minutes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeadLately {
    /// How many.
    pub(crate) count: usize,
    /// Whether there may be more.
    pub(crate) is_more: bool,
    /// The topic and the failure of the newest.
    pub(crate) newest: Option<(Timestamp, String, String)>,
}

impl DeadLately {
    /// What to tell of them, and when the newest died.
    pub(super) fn described(self) -> Option<(String, Timestamp)> {
        let (died_at, topic, failure) = self.newest?;
        let at_least = if self.is_more { "at least " } else { "" };
        let what = format!(
            "dead letters: {at_least}{} in the last {} min, the newest of {topic}: {failure}",
            self.count,
            RECENT.as_secs() / 60
        );
        Some((what, died_at))
    }
}
