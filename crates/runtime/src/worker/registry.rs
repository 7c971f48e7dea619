//! Which handler runs which task, checked before anything starts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{
    Cause, Codec, DecodeError, EnvelopeFactory, Json, TaskEnvelope, TaskName, TopicName,
};
use aftercommit_domain::events::{ReadInputError, RouteEffect, Routes};
use aftercommit_domain::tasks::{RetryPolicy, Schedule, TaskDescriptor, TaskOptions};

use crate::worker::topic::{CorrectTask, ReadTask, Registration};
use crate::worker::{EnvelopeHandler, Topic, TopicOverrides};

/// Which handler runs which task.
pub(crate) struct Registry {
    pub(crate) topics: Vec<RegisteredTopic>,
}

pub(crate) struct RegisteredTopic {
    pub(crate) name: TopicName,
    pub(crate) concurrency: usize,
    pub(crate) prefetch: usize,
    pub(crate) handlers: HashMap<TaskName, RegisteredHandler>,
}

pub(crate) struct RegisteredHandler {
    pub(crate) handler: Arc<dyn EnvelopeHandler>,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    descriptor: Option<TaskDescriptor>,
    read_input: Option<ReadTask>,
    correct: Option<CorrectTask>,
}

/// What holds for a topic that does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicDefaults {
    pub(crate) concurrency: usize,
    pub(crate) prefetch_factor: usize,
    pub(crate) timeout: Duration,
}

/// The most handlers at once; more than any machine runs, and far from what a semaphore can count.
const MAX_CONCURRENCY: usize = 10_000;

impl Registry {
    /// Builds the table. Adds a line to `problems` for everything that is wrong with it; with one, it is not to be run.
    pub(crate) fn build(
        topics: Vec<Topic>,
        defaults: TopicDefaults,
        overrides: &BTreeMap<TopicName, TopicOverrides>,
        codec: &Codec,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut registered: Vec<RegisteredTopic> = Vec::new();
        for topic in topics {
            let name = match TopicName::new(topic.name.clone()) {
                Ok(name) => name,
                Err(error) => {
                    problems.push(format!("topic {:?}: {error}", topic.name));
                    continue;
                }
            };
            if topic.registrations.is_empty() {
                problems.push(format!("topic {name} has no handlers; add `.handle::<Task>(handler)`"));
            }
            let overridden = overrides.get(&name).copied().unwrap_or_default();
            let at = if let Some(at) = registered.iter().position(|other| other.name == name) {
                problems.push(format!(
                    "topic {name} is declared twice; one module owns a topic with all its tasks"
                ));
                at
            } else {
                registered.push(RegisteredTopic::of(&topic, name, overridden, defaults, problems));
                registered.len() - 1
            };
            // The handlers of a topic declared twice are kept all the same, so that none is reported as missing too.
            if let Some(owner) = registered.get_mut(at) {
                for registration in topic.registrations {
                    owner.add(registration, overridden, defaults, codec, problems);
                }
            }
        }
        Self { topics: registered }
    }

    /// Checks the table against the routes: a task that a route publishes to a topic owned here must have a handler.
    pub(crate) fn check_routes(&self, routes: &Routes, problems: &mut Vec<String>) {
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
    }

    /// What schedules publish must have a handler where its topic is declared, and no key may be declared twice.
    pub(crate) fn check_schedules(&self, declared: &[Schedule], problems: &mut Vec<String>) {
        for (place, Schedule { id, task, .. }) in declared.iter().enumerate() {
            let owned = self.topics.iter().find(|topic| topic.name == task.topic);
            if owned.is_some_and(|topic| !topic.handlers.contains_key(&task.task)) {
                problems.push(format!(
                    "schedule {} publishes {}/{}, which has no handler; add `.handle::<…>(…)` to its topic",
                    id.key, task.topic, task.task
                ));
            }
            if declared[..place].iter().any(|other| other.id == *id) {
                problems.push(format!("schedule {} is declared twice; give one another key", id.key));
            }
        }
    }

    /// The topics that routes lead to and that are not declared here: another process's, or forgotten.
    pub(crate) fn routed_elsewhere(&self, routes: &Routes) -> BTreeSet<TopicName> {
        let targets = routes.entries().iter().filter_map(|route| match &route.effect {
            RouteEffect::Dispatches(targets) => Some(targets),
            RouteEffect::None(_) => None,
        });
        let topics = targets.flatten().map(|target| &target.topic);
        let known = |name: &TopicName| self.topics.iter().any(|topic| topic.name == *name);
        topics.filter(|name| !known(name)).cloned().collect()
    }

    /// The contracts it runs, by topic and task.
    pub(crate) fn descriptors(&self) -> Vec<TaskDescriptor> {
        let mut all: Vec<TaskDescriptor> = self
            .topics
            .iter()
            .flat_map(|topic| topic.handlers.values().filter_map(|handler| handler.descriptor.clone()))
            .collect();
        all.sort_by(|a, b| (&a.topic, &a.task).cmp(&(&b.topic, &b.task)));
        all
    }

    /// After how many attempts each task is given up.
    pub(crate) fn max_attempts(&self) -> HashMap<(TopicName, TaskName), u32> {
        let handlers = self.topics.iter().flat_map(|topic| {
            let of = move |(task, handler): (&TaskName, &RegisteredHandler)| {
                ((topic.name.clone(), task.clone()), handler.retry.max_attempts)
            };
            topic.handlers.iter().map(of)
        });
        handlers.collect()
    }

    /// The contracts a person may publish as JSON.
    pub(crate) fn task_inputs(&self) -> TaskInputs {
        let readers = self.topics.iter().flat_map(|topic| {
            topic.handlers.iter().filter_map(|(task, handler)| {
                let readers = Readers {
                    read: handler.read_input?,
                    correct: handler.correct?,
                };
                Some(((topic.name.clone(), task.clone()), readers))
            })
        });
        TaskInputs {
            readers: readers.collect(),
        }
    }

    /// The topics it owns.
    pub(crate) fn topic_names(&self) -> Vec<TopicName> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }
}

impl RegisteredTopic {
    fn of(
        topic: &Topic,
        name: TopicName,
        overridden: TopicOverrides,
        defaults: TopicDefaults,
        problems: &mut Vec<String>,
    ) -> Self {
        let concurrency = overridden
            .concurrency
            .or(topic.concurrency)
            .unwrap_or(defaults.concurrency);
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            problems.push(format!(
                "topic {name} has a concurrency of {concurrency}; it is 1 to {MAX_CONCURRENCY} handlers at once"
            ));
        }
        let prefetch = topic
            .prefetch
            .unwrap_or_else(|| concurrency.saturating_mul(defaults.prefetch_factor));
        Self {
            name,
            concurrency,
            prefetch: prefetch.max(concurrency),
            handlers: HashMap::new(),
        }
    }

    fn add(
        &mut self,
        registration: Registration,
        overridden: TopicOverrides,
        defaults: TopicDefaults,
        codec: &Codec,
        problems: &mut Vec<String>,
    ) {
        let name = &self.name;
        let task = registration.task;
        if registration.topic != *name {
            problems.push(format!(
                "task {}/{task} is handled under topic {name}; declare it under its own topic",
                registration.topic
            ));
            return;
        }
        let handler = RegisteredHandler {
            handler: (registration.make)(codec.clone()),
            timeout: overridden.timeout.or(registration.timeout).unwrap_or(defaults.timeout),
            retry: overridden.apply(registration.retry),
            descriptor: registration.descriptor,
            read_input: registration.read_input,
            correct: registration.correct,
        };
        if handler.timeout.is_zero() {
            problems.push(format!(
                "task {name}/{task} has a timeout of zero; no attempt could end in time"
            ));
        }
        if self.handlers.insert(task.clone(), handler).is_some() {
            problems.push(format!("task {name}/{task} has two handlers"));
        }
    }
}

/// Reads tasks that a person wrote as JSON. Cheap to clone.
#[derive(Clone, Default)]
pub struct TaskInputs {
    readers: HashMap<(TopicName, TaskName), Readers>,
}

#[derive(Clone, Copy)]
struct Readers {
    read: ReadTask,
    correct: CorrectTask,
}

impl TaskInputs {
    /// Whether a person may publish anything to `topic`.
    pub(crate) fn has_topic(&self, topic: &TopicName) -> bool {
        self.readers.keys().any(|(of, _)| of == topic)
    }

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
            Some(readers) => (readers.read)(input, envelopes, options, cause),
            None => Err(unknown(topic, task)),
        }
    }

    /// `original` with the payload that a person made of its own: secrets stand in it in clear, or sealed as they were.
    ///
    /// # Errors
    /// No handler here runs such a task, the JSON is not its payload, or it is another tenant's.
    pub fn correct(
        &self,
        original: &TaskEnvelope,
        input: &Json,
        envelopes: &EnvelopeFactory,
    ) -> Result<TaskEnvelope, ReadInputError> {
        match self.readers.get(&(original.topic.clone(), original.task.clone())) {
            Some(readers) => (readers.correct)(original, input, envelopes),
            None => Err(unknown(&original.topic, &original.task)),
        }
    }
}

fn unknown(topic: &TopicName, task: &TaskName) -> ReadInputError {
    DecodeError::Unknown {
        contract: format!("the task {topic}/{task}"),
    }
    .into()
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
