//! What a process does: the words of `AFTERCOMMIT_WORKER__ROLES`.

use std::{collections::BTreeSet, fmt};

/// One of the things that a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Moves the outbox.
    Relay,
    /// Looks up what follows from an event.
    Dispatcher,
    /// Runs the handlers of topics.
    Topics,
    /// Decides about the slots of schedules.
    Scheduler,
    /// Frees what was lost and forgets what is old.
    Maintenance,
}

impl Role {
    /// Every role, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Relay,
        Self::Dispatcher,
        Self::Topics,
        Self::Scheduler,
        Self::Maintenance,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Dispatcher => "dispatcher",
            Self::Topics => "topics",
            Self::Scheduler => "scheduler",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word that stands for everything.
pub(crate) const ALL: &str = "all";

/// The roles that these words name.
pub(crate) fn roles_of(words: &[String]) -> Result<BTreeSet<Role>, String> {
    if let [word] = words
        && word == ALL
    {
        return Ok(Role::ALL.into());
    }
    words
        .iter()
        .map(|word| {
            let role = Role::ALL.into_iter().find(|role| role.as_str() == word);
            role.ok_or_else(|| {
                if word == ALL {
                    "has all beside others".to_owned()
                } else {
                    "has something that is no role".to_owned()
                }
            })
        })
        .collect()
}

/// The roles as they are written.
pub(crate) fn written(roles: &BTreeSet<Role>) -> String {
    if roles.len() == Role::ALL.len() {
        return ALL.to_owned();
    }
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}
