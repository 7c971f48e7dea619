//! From the configuration to the engine's roles, and to what people read of them.

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_platform_config::{ConfigError, ConfigErrors, Role, WorkerSettings};
use aftercommit_runtime::Roles;

use crate::startup::StartupError;

/// What the configuration says that a process does.
pub(crate) fn configured_roles(worker: &WorkerSettings) -> Result<Roles, StartupError> {
    let has = |role| worker.roles.contains(&role);
    let topics = match &worker.topics {
        _ if !has(Role::Topics) => Some(BTreeSet::new()),
        Some(names) => Some(names.iter().map(|name| topic_name(name)).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(Roles {
        relay: has(Role::Relay),
        dispatcher: has(Role::Dispatcher),
        scheduler: has(Role::Scheduler),
        maintenance: has(Role::Maintenance),
        topics,
    })
}

fn topic_name(name: &str) -> Result<TopicName, StartupError> {
    TopicName::new(name).map_err(|error| {
        let error = ConfigError::new("AFTERCOMMIT_WORKER__TOPICS", &error.to_string());
        ConfigErrors::from(error).into()
    })
}

/// What a process does, where that is not everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ShownRoles {
    pub(crate) roles: Option<String>,
    pub(crate) topics: Option<String>,
}

impl ShownRoles {
    pub(crate) fn of(roles: &Roles) -> Self {
        let topics = roles.topics.as_ref().filter(|topics| !topics.is_empty());
        let does = |role: &Role| match role {
            Role::Relay => roles.relay,
            Role::Dispatcher => roles.dispatcher,
            Role::Topics => roles.topics.is_none() || topics.is_some(),
            Role::Scheduler => roles.scheduler,
            Role::Maintenance => roles.maintenance,
        };
        let done: Vec<&str> = Role::ALL.into_iter().filter(does).map(Role::as_str).collect();
        Self {
            roles: match done.len() {
                0 => Some("none".to_owned()),
                all if all == Role::ALL.len() => None,
                _ => Some(done.join(", ")),
            },
            topics: topics.map(|topics| topics.iter().map(TopicName::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aftercommit_platform_config::Settings;

    fn configured(pairs: &[(&str, &str)]) -> Roles {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (format!("AFTERCOMMIT_WORKER__{name}"), (*value).to_owned()));
        configured_roles(&Settings::from_sources(pairs, None).unwrap().worker).unwrap()
    }

    fn shown(roles: &Roles) -> (Option<String>, Option<String>) {
        let ShownRoles { roles, topics } = ShownRoles::of(roles);
        (roles, topics)
    }

    #[test]
    fn everything_is_the_default_and_not_worth_a_word() {
        assert_eq!(configured(&[]), Roles::default());
        assert_eq!(shown(&Roles::default()), (None, None));
    }

    #[test]
    fn what_is_not_everything_is_shown() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(shown(&Roles::none()), (text("none"), None));
        let relay = configured(&[("ROLES", "relay")]);
        assert_eq!(
            relay,
            Roles {
                relay: true,
                ..Roles::none()
            }
        );
        assert_eq!(shown(&relay), (text("relay"), None));
        let one_topic = configured(&[("TOPICS", "receipts,invoices")]);
        assert_eq!(shown(&one_topic), (None, text("invoices, receipts")));
        let some = configured(&[("ROLES", "topics,maintenance"), ("TOPICS", "receipts")]);
        assert_eq!(shown(&some), (text("topics, maintenance"), text("receipts")));
        assert!(configured(&[("ROLES", "topics")]).topics.is_none());
    }
}
