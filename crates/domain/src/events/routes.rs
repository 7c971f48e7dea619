//! What follows from what: a pure, synchronous table from event to dispatches, with no ports in reach.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::contract::{Codec, DecodeError, EventEnvelope, EventName, InvalidName};
use crate::events::{Dispatch, DispatchTarget, DomainEvent, EventCatalogue, IntoDispatches};
use crate::ids::MessageId;
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

/// Which event it was, and when it happened: the same at every redelivery and every replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Its id.
    pub event_id: MessageId,
    /// When it happened.
    pub occurred_at: Timestamp,
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

impl Routes {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// What follows from `E`. The function sees the event and nothing else; what needs a look-up is a task.
    pub fn on<E, D>(self, route: impl Fn(&E) -> D + Send + Sync + 'static) -> Self
    where
        E: DomainEvent,
        D: IntoDispatches,
    {
        self.on_occurrence(move |event: &E, _| route(event))
    }

    /// The same for what has to tell which event it was and when it happened: a webhook, an export, an audit.
    pub fn on_occurrence<E, D>(mut self, route: impl Fn(&E, &Occurrence) -> D + Send + Sync + 'static) -> Self
    where
        E: DomainEvent,
        D: IntoDispatches,
    {
        let decide = move |envelope: &EventEnvelope, codec: &Codec| {
            let event: E = codec.decode(&envelope.payload, envelope.version, &envelope.tenant, envelope.id)?;
            let occurrence = Occurrence {
                event_id: envelope.id,
                occurred_at: envelope.occurred_at,
            };
            Ok(route(&event, &occurrence).into_dispatches())
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
        let routed = counted(self.routes.iter().map(|route| &route.event));
        let known = counted(catalogue.events().iter().map(|event| &event.name));
        let mut problems = Vec::new();
        for (name, times) in &known {
            match routed.get(name) {
                None => problems.push(format!(
                    "{name} has no route; add `.on(|event: &{name}| …)` or `.none::<{name}>(\"reason\")`"
                )),
                Some(1) => {}
                Some(n) => problems.push(format!(
                    "{name} has {n} routes; an event has one entry that may dispatch several tasks"
                )),
            }
            if *times > 1 {
                problems.push(format!("{name} is {times} times in the catalogue; list it once"));
            }
        }
        for name in routed.keys().filter(|name| !known.contains_key(*name)) {
            problems.push(format!(
                "{name} has a route but is not in the catalogue; add it to `catalogue![…]`"
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RoutesError { problems })
        }
    }

    /// The dispatches of an event, each with the id every redelivery gives it.
    pub fn dispatch(&self, event: &EventEnvelope, codec: &Codec) -> Result<Vec<(MessageId, Dispatch)>, RouteError> {
        self.decided(event, codec, None)
    }

    /// The dispatches of a replay of an event: others than those it had, so that nobody takes them for the ones that are
    /// done; asked for again under the same replay id they are the same.
    pub fn replay(
        &self,
        event: &EventEnvelope,
        codec: &Codec,
        replay_id: MessageId,
    ) -> Result<Vec<(MessageId, Dispatch)>, RouteError> {
        self.decided(event, codec, Some(replay_id))
    }

    fn decided(
        &self,
        event: &EventEnvelope,
        codec: &Codec,
        replay_id: Option<MessageId>,
    ) -> Result<Vec<(MessageId, Dispatch)>, RouteError> {
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
            let what = format!("{}\u{1f}{key}", dispatch.target);
            let id = match replay_id {
                None => event.id.derive(&what),
                // Keys hold no control characters, so no key of a first dispatch is read like this.
                Some(replay_id) => event.id.derive(&format!("{what}\u{1f}{replay_id}")),
            };
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

fn counted<'a>(names: impl Iterator<Item = &'a EventName>) -> BTreeMap<&'a EventName, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
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

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(type_name::<Self>())
            .field("events", &self.routes.len())
            .finish()
    }
}
