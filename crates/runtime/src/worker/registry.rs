//! Which handler runs which task, checked before anything starts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{
    Cause, Codec, DecodeError, EnvelopeFactory, Json, TaskEnvelope, TaskName, TopicName,
};
use aftercommit_domain::events::{DOMAIN_EVENTS_TOPIC, ReadInputError, RouteEffect, Routes};
use aftercommit_domain::tasks::{RetryPolicy, TaskDescriptor, TaskOptions};

use crate::worker::topic::ReadTask;
use crate::worker::{EnvelopeHandler, Topic, TopicOverrides};

/// Which handler runs which task.
pub struct Registry {
    pub(crate) topics: Vec<RegisteredTopic>,
}

pub(crate) struct RegisteredTopic {
    pub(crate) name: TopicName,
    pub(crate) concurrency: usize,
    pub(crate) prefetch: usize,
    pub(crate) handlers: HashMap<TaskName, RegisteredHandler>,
}

#[derive(Clone)]
pub(crate) struct RegisteredHandler {
    pub(crate) handler: Arc<dyn EnvelopeHandler>,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) descriptor: Option<TaskDescriptor>,
    pub(crate) read_input: Option<ReadTask>,
}

/// What an application declared does not fit together. It does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct RegistryError {
    /// One line for each problem.
    pub problems: Vec<String>,
}

/// What holds for a topic that does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicDefaults {
    pub(crate) concurrency: usize,
    pub(crate) prefetch_factor: usize,
    pub(crate) timeout: Duration,
}

impl Registry {
    /// Builds the table, or names everything that is wrong with it.
    pub(crate) fn build(
        topics: Vec<Topic>,
        defaults: TopicDefaults,
        overrides: &BTreeMap<TopicName, TopicOverrides>,
        codec: &Codec,
    ) -> Result<Self, RegistryError> {
        let mut problems = Vec::new();
        let mut registered: Vec<RegisteredTopic> = Vec::new();
        for topic in topics {
            let name = match TopicName::new(topic.name.clone()) {
                Ok(name) => name,
                Err(error) => {
                    problems.push(format!("topic {:?}: {error}", topic.name));
                    continue;
                }
            };
            if registered.iter().any(|other| other.name == name) {
                problems.push(format!(
                    "topic {name} is declared twice; one module owns a topic with all its tasks"
                ));
                continue;
            }
            let overridden = overrides.get(&name).copied().unwrap_or_default();
            let concurrency = overridden
                .concurrency
                .or(topic.concurrency)
                .unwrap_or(defaults.concurrency)
                .max(1);
            let prefetch = topic
                .prefetch
                .unwrap_or_else(|| concurrency.saturating_mul(defaults.prefetch_factor))
                .max(concurrency);
            let mut handlers = HashMap::new();
            if topic.registrations.is_empty() {
                problems.push(format!("topic {name} has no handlers; add `.handle::<Task>(handler)`"));
            }
            for registration in topic.registrations {
                if registration.topic != name {
                    problems.push(format!(
                        "task {}/{} is handled under topic {name}; declare it under its own topic",
                        registration.topic, registration.task
                    ));
                    continue;
                }
                let handler = RegisteredHandler {
                    handler: (registration.make)(codec.clone()),
                    timeout: overridden.timeout.or(registration.timeout).unwrap_or(defaults.timeout),
                    retry: overridden.apply(registration.retry),
                    descriptor: registration.descriptor,
                    read_input: registration.read_input,
                };
                if handlers.insert(registration.task.clone(), handler).is_some() {
                    problems.push(format!("task {name}/{} has two handlers", registration.task));
                }
            }
            registered.push(RegisteredTopic {
                name,
                concurrency,
                prefetch,
                handlers,
            });
        }
        if problems.is_empty() {
            Ok(Self { topics: registered })
        } else {
            Err(RegistryError { problems })
        }
    }

    /// Checks the table against the routes: a task that a route publishes to a topic owned here must have a handler.
    pub(crate) fn check_routes(&self, routes: &Routes) -> Result<(), RegistryError> {
        let mut problems = Vec::new();
        for route in routes.entries() {
            let RouteEffect::Dispatches(targets) = &route.effect else {
                continue;
            };
            for target in targets {
                let owned = self.topics.iter().find(|topic| topic.name == target.topic);
                if owned.is_some_and(|topic| !topic.handlers.contains_key(&target.task)) {
                    problems.push(format!(
                        "{} routes to {target}, which has no handler; add `.handle::<…>(…)` to its topic",
                        route.event
                    ));
                }
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RegistryError { problems })
        }
    }

    /// The contracts it runs, by topic and task.
    pub fn descriptors(&self) -> Vec<TaskDescriptor> {
        let mut all: Vec<TaskDescriptor> = self
            .topics
            .iter()
            .flat_map(|topic| topic.handlers.values().filter_map(|handler| handler.descriptor.clone()))
            .collect();
        all.sort_by(|a, b| (&a.topic, &a.task).cmp(&(&b.topic, &b.task)));
        all
    }

    /// The contracts a person may publish as JSON.
    pub(crate) fn task_inputs(&self) -> TaskInputs {
        let readers = self.topics.iter().flat_map(|topic| {
            topic
                .handlers
                .iter()
                .filter_map(|(task, handler)| Some(((topic.name.clone(), task.clone()), handler.read_input?)))
        });
        TaskInputs {
            readers: readers.collect(),
        }
    }

    /// The topics it owns, the dispatcher's not among them.
    pub fn topic_names(&self) -> Vec<TopicName> {
        self.topics
            .iter()
            .map(|topic| topic.name.clone())
            .filter(|name| *name != DOMAIN_EVENTS_TOPIC)
            .collect()
    }
}

/// Reads tasks that a person wrote as JSON. Cheap to clone.
#[derive(Clone, Default)]
pub struct TaskInputs {
    readers: HashMap<(TopicName, TaskName), ReadTask>,
}

impl TaskInputs {
    /// The envelope of a task written as JSON, with secrets in clear, which are sealed here.
    ///
    /// # Errors
    /// No handler here runs such a task, or the JSON is not its payload.
    pub fn read(
        &self,
        (topic, task): (&TopicName, &TaskName),
        input: &Json,
        envelopes: &EnvelopeFactory,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, ReadInputError> {
        match self.readers.get(&(topic.clone(), task.clone())) {
            Some(read) => read(input, envelopes, options, cause),
            None => Err(DecodeError::Unknown {
                contract: format!("the task {topic}/{task}"),
            }
            .into()),
        }
    }
}

impl TopicOverrides {
    fn apply(self, retry: RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(retry.max_attempts).max(1),
            base: self.base_delay.unwrap_or(retry.base),
            factor: retry.factor,
            max_delay: self.max_delay.unwrap_or(retry.max_delay),
        }
    }
}
