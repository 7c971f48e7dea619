//! What follows from what: a pure, synchronous table from event to dispatches, with no ports in reach.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::contract::{
    Cause, Codec, DecodeError, DispatchKey, EncodeError, EnvelopeFactory, EventEnvelope, EventName, InvalidName,
    OrderKey, TaskEnvelope, TaskName, TopicName,
};
use crate::events::{DomainEvent, EventCatalogue};
use crate::ids::MessageId;
use crate::tasks::{Task, TaskOptions};
use crate::time::Timestamp;

/// The table. Every event of the catalogue has an entry, even if it is [`none`](Routes::none).
#[derive(Default)]
pub struct Routes {
    routes: Vec<Route>,
}

/// One entry of the table.
pub struct Route {
    /// The event.
    pub event: EventName,
    /// What follows.
    pub effect: RouteEffect,
    decide: Option<Box<Decide>>,
}

type Decide = dyn Fn(&EventEnvelope, &Codec) -> Result<Vec<Dispatch>, DecodeError> + Send + Sync;

/// What follows from an event, without an instance of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteEffect {
    /// These may be dispatched.
    Dispatches(Vec<DispatchTarget>),
    /// Nothing, for this reason.
    None(&'static str),
}

/// What a dispatch leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DispatchTarget {
    /// The topic.
    pub topic: TopicName,
    /// The task.
    pub task: TaskName,
}

impl fmt::Display for DispatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.task)
    }
}

impl Routes {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// What follows from `E`. The function sees the event and nothing else; what needs a look-up is a task.
    pub fn on<E, D>(mut self, route: impl Fn(&E) -> D + Send + Sync + 'static) -> Self
    where
        E: DomainEvent,
        D: IntoDispatches,
    {
        let decide = move |envelope: &EventEnvelope, codec: &Codec| {
            let event: E = codec.decode(&envelope.payload, envelope.version, &envelope.tenant, envelope.id)?;
            Ok(route(&event).into_dispatches())
        };
        let mut targets = Vec::new();
        D::targets(&mut targets);
        self.routes.push(Route {
            event: E::NAME,
            effect: RouteEffect::Dispatches(targets),
            decide: Some(Box::new(decide)),
        });
        self
    }

    /// Nothing follows from `E`, and this is why.
    pub fn none<E: DomainEvent>(mut self, reason: &'static str) -> Self {
        self.routes.push(Route {
            event: E::NAME,
            effect: RouteEffect::None(reason),
            decide: None,
        });
        self
    }

    /// The entries, in the order they were added.
    pub fn entries(&self) -> &[Route] {
        &self.routes
    }

    /// Checks the table against the events an application knows. `Err` names every event without an entry, every entry
    /// without an event, and every event with two.
    pub fn check(&self, catalogue: &EventCatalogue) -> Result<(), RoutesError> {
        let mut counts: BTreeMap<&EventName, usize> = BTreeMap::new();
        for route in &self.routes {
            *counts.entry(&route.event).or_default() += 1;
        }
        let names: Vec<&EventName> = catalogue.events().iter().map(|event| &event.name).collect();
        let mut problems = Vec::new();
        for name in &names {
            match counts.get(name) {
                None => problems.push(format!(
                    "{name} has no route; add `.on(|event: &{name}| …)` or `.none::<{name}>(\"reason\")`"
                )),
                Some(1) => {}
                Some(n) => problems.push(format!(
                    "{name} has {n} routes; an event has one entry that may dispatch several tasks"
                )),
            }
        }
        for (name, _) in counts.iter().filter(|(name, _)| !names.contains(name)) {
            problems.push(format!(
                "{name} has a route but is not in the catalogue; add it to `catalogue![…]`"
            ));
        }
        for name in names
            .iter()
            .enumerate()
            .filter(|(at, name)| names.iter().take(*at).any(|other| other == *name))
        {
            problems.push(format!("{} is twice in the catalogue", name.1));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RoutesError { problems })
        }
    }

    /// The dispatches of an event, each with the id every redelivery gives it.
    pub fn dispatch(&self, event: &EventEnvelope, codec: &Codec) -> Result<Vec<(MessageId, Dispatch)>, RouteError> {
        let route = self
            .routes
            .iter()
            .find(|route| route.event == event.name)
            .ok_or_else(|| {
                RouteError::Decode(DecodeError::Unknown {
                    contract: event.name.to_string(),
                })
            })?;
        let Some(decide) = &route.decide else {
            return Ok(Vec::new());
        };
        let mut ordinals: BTreeMap<DispatchTarget, usize> = BTreeMap::new();
        let mut dispatches: Vec<(MessageId, Dispatch)> = Vec::new();
        for dispatch in decide(event, codec)? {
            if let Some(problem) = dispatch.problem.clone() {
                return Err(RouteError::Key {
                    event: event.name.clone(),
                    target: dispatch.target.clone(),
                    problem,
                });
            }
            let ordinal = ordinals.entry(dispatch.target.clone()).or_default();
            let key = dispatch
                .key
                .as_ref()
                .map_or_else(|| format!("#{ordinal}"), |key| format!("={key}"));
            *ordinal += 1;
            let id = event.id.derive(&format!("{}\u{1f}{key}", dispatch.target));
            if dispatches.iter().any(|(other, _)| *other == id) {
                return Err(RouteError::Duplicate {
                    event: event.name.clone(),
                    target: dispatch.target.clone(),
                    key,
                });
            }
            dispatches.push((id, dispatch));
        }
        Ok(dispatches)
    }
}

/// The table and the catalogue do not agree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct RoutesError {
    /// One line for each problem.
    pub problems: Vec<String>,
}

/// An event has no dispatches because of a mistake.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It cannot be read, or no route knows it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A key given in the route is out of bounds.
    #[error("the route of {event} to {target}: {problem}")]
    Key {
        /// The event.
        event: EventName,
        /// Where to.
        target: DispatchTarget,
        /// What is wrong with the key.
        problem: InvalidName,
    },
    /// Two dispatches of one event have the same contract and key.
    #[error("the route of {event} dispatches {target} twice with key {key}; give each its own `.key(…)`")]
    Duplicate {
        /// The event.
        event: EventName,
        /// Where to.
        target: DispatchTarget,
        /// The key they share.
        key: String,
    },
}

/// One thing that follows from one event.
pub struct Dispatch {
    target: DispatchTarget,
    key: Option<DispatchKey>,
    options: TaskOptions,
    problem: Option<InvalidName>,
    task: Box<dyn EnvelopedTask>,
}

impl Dispatch {
    /// Where it goes.
    pub const fn target(&self) -> &DispatchTarget {
        &self.target
    }

    /// Its envelope, sealed anew for this id.
    pub fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        self.task.envelope(factory, id, &self.options, cause)
    }
}

/// Publishes `task` when the event happens. Options follow as methods.
pub fn publish<T: Task>(task: T) -> Publish<T> {
    Publish {
        task,
        key: None,
        options: TaskOptions::default(),
        problem: None,
    }
}

/// A task that follows from an event, and how it is published.
pub struct Publish<T> {
    task: T,
    key: Option<DispatchKey>,
    options: TaskOptions,
    problem: Option<InvalidName>,
}

impl<T: Task> Publish<T> {
    /// Tells it apart from another dispatch of the same event to the same task. Needed where their order may change,
    /// for example one task for each of a list of ids.
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        match DispatchKey::new(key.to_string()) {
            Ok(key) => self.key = Some(key),
            Err(problem) => self.problem = Some(problem),
        }
        self
    }

    /// Runs it at the earliest this long after it was dispatched.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Runs it at the earliest at this time.
    pub fn run_at(mut self, time: Timestamp) -> Self {
        self.options.run_at = Some(time);
        self
    }

    /// A run after this time ends as skipped.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// Runs one after another with the other tasks of this key, in the order of dispatch.
    pub fn order_key(mut self, key: impl fmt::Display) -> Self {
        match OrderKey::new(key.to_string()) {
            Ok(key) => self.options.order_key = Some(key),
            Err(problem) => self.problem = Some(problem),
        }
        self
    }
}

/// What a route may answer: one dispatch, a tuple, an `Option` or a `Vec` of them.
#[diagnostic::on_unimplemented(
    message = "a route cannot answer `{Self}`",
    note = "answer `publish(task)`, a tuple of those, an `Option` or a `Vec`; for nothing use `.none::<Event>(\"reason\")`"
)]
pub trait IntoDispatches {
    /// What it may lead to.
    fn targets(targets: &mut Vec<DispatchTarget>);
    /// The dispatches.
    fn into_dispatches(self) -> Vec<Dispatch>;
}

impl<T: Task> IntoDispatches for Publish<T> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        targets.push(DispatchTarget {
            topic: T::TOPIC,
            task: T::NAME,
        });
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        vec![Dispatch {
            target: DispatchTarget {
                topic: T::TOPIC,
                task: T::NAME,
            },
            key: self.key,
            options: self.options,
            problem: self.problem,
            task: Box::new(self.task),
        }]
    }
}

impl<D: IntoDispatches> IntoDispatches for Option<D> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        D::targets(targets);
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        self.map(D::into_dispatches).unwrap_or_default()
    }
}

impl<D: IntoDispatches> IntoDispatches for Vec<D> {
    fn targets(targets: &mut Vec<DispatchTarget>) {
        D::targets(targets);
    }

    fn into_dispatches(self) -> Vec<Dispatch> {
        self.into_iter().flat_map(D::into_dispatches).collect()
    }
}

macro_rules! tuple_of_dispatches {
    ($($name:ident),+) => {
        impl<$($name: IntoDispatches),+> IntoDispatches for ($($name,)+) {
            fn targets(targets: &mut Vec<DispatchTarget>) {
                $($name::targets(targets);)+
            }

            #[expect(non_snake_case, reason = "the type parameters name the tuple's fields")]
            fn into_dispatches(self) -> Vec<Dispatch> {
                let ($($name,)+) = self;
                let mut dispatches = Vec::new();
                $(dispatches.extend($name.into_dispatches());)+
                dispatches
            }
        }
    };
}

tuple_of_dispatches!(A);
tuple_of_dispatches!(A, B);
tuple_of_dispatches!(A, B, C);
tuple_of_dispatches!(A, B, C, D);
tuple_of_dispatches!(A, B, C, D, E);
tuple_of_dispatches!(A, B, C, D, E, F);
tuple_of_dispatches!(A, B, C, D, E, F, G);
tuple_of_dispatches!(A, B, C, D, E, F, G, H);

/// A task whose type is forgotten until it is sealed and encoded.
trait EnvelopedTask: Send + Sync {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError>;
}

impl<T: Task> EnvelopedTask for T {
    fn envelope(
        &self,
        factory: &EnvelopeFactory,
        id: MessageId,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        factory.task(id, self, options, cause)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(type_name::<Self>())
            .field("events", &self.routes.len())
            .finish()
    }
}
