//! Pauses: what is not to be run until somebody says so, or until a time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::{OrganizationId, ProjectId, TaskEnvelope, TaskName, TopicName};
use crate::tasks::Reason;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// The most pauses at a time.
pub const MOST_PAUSES: usize = 1000;

/// Where pauses are kept.
///
/// **Contract**: `Ok` means durable. Workers keep to a pause within a second; what runs already runs to its end. Nothing that
/// is paused is lost, and no attempt of it is counted. When no pause holds it any more it is run in its turn. A restart changes
/// nothing. Called concurrently.
#[async_trait]
pub trait TaskPauses: Send + Sync {
    /// Pauses; takes the place of an earlier pause of the same target.
    ///
    /// # Errors
    /// [`StoreError::Refused`] beyond [`MOST_PAUSES`].
    async fn pause(&self, pause: &NewPause) -> Result<Pause, StoreError>;

    /// Ends a pause. Answers the one that ended.
    async fn resume(&self, target: &PauseTarget) -> Result<Option<Pause>, StoreError>;

    /// The pauses in force, oldest first.
    async fn list(&self) -> Result<Vec<Pause>, StoreError>;

    /// Lets up to `limit` tasks that were [set aside](super::Delivery::set_aside) wait for a worker again, unless a pause holds
    /// them. Answers how many.
    async fn release(&self, limit: u32) -> Result<u64, StoreError>;
}

/// What is paused. As text: `topic:emails`, `task:emails/send`, `organization:acme`, `project:acme/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseTarget {
    /// All tasks of a topic. They stay where they are.
    Topic(TopicName),
    /// One kind of task. Others of its topic go on.
    Task {
        /// Its topic.
        topic: TopicName,
        /// Its name.
        task: TaskName,
    },
    /// All tasks of an organization and its projects.
    Organization(OrganizationId),
    /// All tasks of a project.
    Project {
        /// Its organization.
        organization: OrganizationId,
        /// The project.
        project: ProjectId,
    },
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What is paused.
    pub target: PauseTarget,
    /// Why, for people.
    pub reason: Reason,
    /// Who ordered it.
    pub actor: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` until somebody resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A pause as it is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPause {
    /// What is to be paused.
    pub target: PauseTarget,
    /// Why, for people.
    pub reason: Reason,
    /// Who orders it.
    pub actor: String,
    /// Until when; `None` until somebody resumes it.
    pub until: Option<Timestamp>,
}

impl NewPause {
    /// The pause that begins with it at `now`.
    pub fn begun(&self, now: Timestamp) -> Pause {
        let Self {
            target,
            reason,
            actor,
            until,
        } = self.clone();
        Pause {
            target,
            reason,
            actor,
            since: now,
            until,
        }
    }
}

impl Pause {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it holds this task, by itself and not with its whole topic.
    pub fn holds(&self, task: &TaskEnvelope) -> bool {
        let is_of = |organization: &OrganizationId| task.tenant.organization_id() == Some(organization);
        match &self.target {
            PauseTarget::Topic(_) => false,
            PauseTarget::Task { topic, task: name } => task.topic == *topic && task.task == *name,
            PauseTarget::Organization(organization) => is_of(organization),
            PauseTarget::Project { organization, project } => {
                is_of(organization) && task.tenant.project_id() == Some(project)
            }
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is paused by {}: {}", self.target, self.actor, self.reason)
    }
}

/// The text names nothing that can be paused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no topic:NAME, task:TOPIC/NAME, organization:ID or project:ORGANIZATION/ID{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub struct InvalidPauseTarget {
    /// What was given, shortened.
    pub given: String,
    /// What is wrong with one of its names.
    pub why: Option<String>,
}

impl FromStr for PauseTarget {
    type Err = InvalidPauseTarget;

    fn from_str(text: &str) -> Result<Self, InvalidPauseTarget> {
        let invalid = |why: Option<String>| InvalidPauseTarget {
            given: text.chars().take(100).collect(),
            why,
        };
        let (kind, name) = text.split_once(':').ok_or_else(|| invalid(None))?;
        let said = |error: &dyn fmt::Display| invalid(Some(error.to_string()));
        let pair = || name.split_once('/').ok_or_else(|| invalid(None));
        match kind {
            "topic" => Ok(Self::Topic(TopicName::new(name).map_err(|error| said(&error))?)),
            "task" => {
                let (topic, task) = pair()?;
                let topic = TopicName::new(topic).map_err(|error| said(&error))?;
                let task = TaskName::new(task).map_err(|error| said(&error))?;
                Ok(Self::Task { topic, task })
            }
            "organization" => OrganizationId::new(name)
                .map(Self::Organization)
                .map_err(|error| said(&error)),
            "project" => {
                let (organization, project) = pair()?;
                let organization = OrganizationId::new(organization).map_err(|error| said(&error))?;
                let project = ProjectId::new(project).map_err(|error| said(&error))?;
                Ok(Self::Project { organization, project })
            }
            _ => Err(invalid(None)),
        }
    }
}

impl fmt::Display for PauseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => write!(f, "topic:{topic}"),
            Self::Task { topic, task } => write!(f, "task:{topic}/{task}"),
            Self::Organization(organization) => write!(f, "organization:{organization}"),
            Self::Project { organization, project } => write!(f, "project:{organization}/{project}"),
        }
    }
}

impl Serialize for PauseTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PauseTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn _dyn_compatible(_: Arc<dyn TaskPauses>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paused_reads_as_it_is_written() {
        for text in [
            "topic:emails",
            "task:emails/send",
            "organization:acme",
            "project:acme/web",
        ] {
            let target: PauseTarget = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(serde_json::to_string(&target).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_was_expected() {
        for text in [
            "",
            "emails",
            "topic:",
            "topic:E-mails",
            "task:emails",
            "task:emails/",
            "queue:emails",
            "organization: ",
            "project:acme",
            "project:/web",
            "topic:emails\n",
        ] {
            let refused = text.parse::<PauseTarget>().unwrap_err();
            assert!(refused.to_string().contains("topic:NAME"), "{text:?}: {refused}");
        }
    }
}
