//! Publishing again what follows from events.

use std::collections::BTreeMap;
use std::time::Duration;

use aftercommit_domain::bulk::{BulkCursor, BulkRun};
use aftercommit_domain::contract::{EventName, TaskEnvelope};
use aftercommit_domain::events::{DispatchTarget, EventCursor, EventFilter, EventSelection, LoggedEvent, RouteEffect};
use aftercommit_domain::failure::{Classified as _, ErrorClass, bounded_text};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::PublishError;
use aftercommit_domain::time::Timestamp;
use serde::Serialize;
use tokio::time::timeout;

use super::{BulkError, BulkRunner};

/// The longest one publish may take.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(10);
/// How many reasons of events that failed are kept.
const MOST_PROBLEMS: usize = 10;
/// How many events a preview looks at.
const MOST_PREVIEWED: usize = 5000;
/// Events of one page.
const PAGE: u32 = 500;

/// What a replay would publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventPreview {
    /// Events that fit.
    pub events: u64,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// When the first of them was published.
    pub first: Option<Timestamp>,
    /// When the last of them was published.
    pub last: Option<Timestamp>,
    /// How many tasks would go where.
    pub tasks: BTreeMap<String, u64>,
    /// Events that lead nowhere.
    pub without_tasks: u64,
    /// Why events cannot be replayed, of the first few.
    pub problems: Vec<String>,
    /// How many cannot.
    pub failed: u64,
}

/// No event that is asked for leads there, in this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteNotKnown {
    /// The event.
    #[error("no route here knows the event {0}; a newer or an older build may")]
    Event(EventName),
    /// The route of the event.
    #[error("{event} does not lead to {route}; {}", leads_to(.known))]
    Route {
        /// The event.
        event: EventName,
        /// What was asked for.
        route: DispatchTarget,
        /// Where it leads.
        known: Vec<DispatchTarget>,
    },
    /// No event at all leads there.
    #[error("no event leads to {0}")]
    Nowhere(DispatchTarget),
}

fn leads_to(known: &[DispatchTarget]) -> String {
    if known.is_empty() {
        return "it leads nowhere".into();
    }
    let known: Vec<String> = known.iter().map(DispatchTarget::to_string).collect();
    format!("it leads to {}", known.join(", "))
}

impl BulkRunner {
    /// What a replay of these events would publish; nothing is published.
    ///
    /// # Errors
    /// The event log; a route that does not exist.
    pub async fn preview(&self, selection: &EventSelection) -> Result<EventPreview, BulkError> {
        self.check_route(selection)?;
        let mut preview = EventPreview {
            events: 0,
            more: false,
            first: None,
            last: None,
            tasks: BTreeMap::new(),
            without_tasks: 0,
            problems: Vec::new(),
            failed: 0,
        };
        let mut cursor = None;
        let until = self.ports.envelopes.now();
        loop {
            let page = self.page(selection, cursor.as_ref(), until, PAGE).await?;
            for logged in &page.events {
                preview.look_at(self, logged, selection.route.as_ref());
            }
            preview.failed += page.missing.len() as u64;
            keep(&mut preview.problems, page.missing);
            if page.is_last {
                return Ok(preview);
            }
            if preview.events >= MOST_PREVIEWED as u64 {
                preview.more = true;
                return Ok(preview);
            }
            cursor = page.cursor;
        }
    }

    /// Publishes what follows from up to `most` events. Answers how many, and whether none is left.
    pub(super) async fn replay_events(
        &self,
        run: &mut BulkRun,
        selection: &EventSelection,
        most: u32,
    ) -> Result<(u32, bool), BulkError> {
        let page = self.page(selection, run.cursor.as_ref(), run.begun_at, most).await?;
        let (mut tasks, mut problems) = (Vec::new(), page.missing);
        for logged in &page.events {
            match self.tasks_of(logged, run.id, selection.route.as_ref()) {
                Ok(more) => tasks.extend(more),
                Err(problem) => problems.push(problem),
            }
        }
        let (published, refused) = self.publish(tasks).await?;
        problems.extend(refused);
        run.tasks = run.tasks.saturating_add(published);
        run.failed = run.failed.saturating_add(problems.len() as u64);
        keep(&mut run.problems, problems);
        run.cursor = page.cursor.or_else(|| run.cursor.take());
        Ok((u32::try_from(page.events.len()).unwrap_or(most), page.is_last))
    }

    /// Whether the events that are named, or any, lead where they are asked to.
    pub(super) fn check_route(&self, selection: &EventSelection) -> Result<(), RouteNotKnown> {
        let targets = |effect: &RouteEffect| match effect {
            RouteEffect::Dispatches(targets) => targets.clone(),
            RouteEffect::None(_) => Vec::new(),
        };
        let entries = self.ports.routes.entries();
        match (&selection.filter.name, &selection.route) {
            (None, None) => Ok(()),
            (Some(name), route) => {
                let entry = entries.iter().find(|entry| entry.event == *name);
                let known = targets(&entry.ok_or_else(|| RouteNotKnown::Event(name.clone()))?.effect);
                match route {
                    Some(route) if !known.contains(route) => Err(RouteNotKnown::Route {
                        event: name.clone(),
                        route: route.clone(),
                        known,
                    }),
                    Some(_) | None => Ok(()),
                }
            }
            (None, Some(route)) => {
                let leads_there = entries.iter().any(|entry| targets(&entry.effect).contains(route));
                leads_there
                    .then_some(())
                    .ok_or_else(|| RouteNotKnown::Nowhere(route.clone()))
            }
        }
    }

    /// The next events, and where they end.
    async fn page(
        &self,
        selection: &EventSelection,
        cursor: Option<&BulkCursor>,
        begun_at: Timestamp,
        most: u32,
    ) -> Result<Page, BulkError> {
        let filter = EventFilter {
            until: Some(selection.filter.until.map_or(begun_at, |until| until.min(begun_at))),
            ..selection.filter.clone()
        };
        if selection.ids.is_empty() {
            let after: Option<&EventCursor> = match cursor {
                Some(BulkCursor::Event(after)) => Some(after),
                Some(BulkCursor::Listed(_)) | None => None,
            };
            let events = self.ports.event_log.page(&filter, after, most).await?;
            return Ok(Page {
                cursor: events.last().map(|last| BulkCursor::Event(last.cursor())),
                is_last: events.len() < usize::try_from(most).unwrap_or(usize::MAX),
                events,
                missing: Vec::new(),
            });
        }
        let from = match cursor {
            Some(BulkCursor::Listed(done)) => *done,
            Some(BulkCursor::Event(_)) | None => 0,
        };
        let (mut events, mut missing) = (Vec::new(), Vec::new());
        let ids = selection
            .ids
            .iter()
            .skip(from)
            .take(usize::try_from(most).unwrap_or(usize::MAX));
        let mut looked_at = 0;
        for id in ids {
            looked_at += 1;
            match self.ports.event_log.find(*id).await? {
                Some(logged) if filter.fits(&logged.event) => events.push(logged),
                Some(_) => missing.push(format!("{id} does not fit the filter")),
                None => missing.push(format!("no published event has the id {id}")),
            }
        }
        Ok(Page {
            cursor: Some(BulkCursor::Listed(from + looked_at)),
            is_last: from + looked_at >= selection.ids.len(),
            events,
            missing,
        })
    }

    fn tasks_of(
        &self,
        logged: &LoggedEvent,
        replay_id: MessageId,
        route: Option<&DispatchTarget>,
    ) -> Result<Vec<Following>, String> {
        let event = &logged.event;
        let told = |error: &dyn std::error::Error| bounded_text(&format!("{} {}: {error}", event.name, event.id));
        let envelopes = &self.ports.envelopes;
        let dispatches = self.ports.routes.replay(event, envelopes.codec(), replay_id);
        let dispatches = dispatches.map_err(|error| told(&error))?;
        dispatches
            .into_iter()
            .filter(|(_, dispatch)| route.is_none_or(|route| route == dispatch.target()))
            .map(|(id, dispatch)| {
                let task = dispatch.envelope(envelopes, id, event).map_err(|error| told(&error))?;
                // Who asks for this very route wants it done.
                let is_best_effort = dispatch.is_best_effort() && route.is_none();
                Ok(Following { task, is_best_effort })
            })
            .collect()
    }

    /// Publishes all, or errs while the queue is away: then all are to be published again. Answers how many there are on
    /// their topics, and why the others are not: they can never be, or are of best effort.
    async fn publish(&self, following: Vec<Following>) -> Result<(u64, Vec<String>), BulkError> {
        if following.is_empty() {
            return Ok((0, Vec::new()));
        }
        let unanswered = || PublishError::Unknown {
            reason: "no answer".into(),
        };
        let tasks = following.iter().map(|one| one.task.clone()).collect();
        let results = timeout(PUBLISH_DEADLINE, self.ports.queue.publish(tasks)).await;
        let mut results = results.unwrap_or_default().into_iter();
        let (mut published, mut refused) = (0, Vec::new());
        for Following { task, is_best_effort } in following {
            let Err(error) = results.next().unwrap_or_else(|| Err(unanswered())) else {
                published += 1;
                continue;
            };
            match error.class() {
                ErrorClass::Retryable | ErrorClass::Outage | ErrorClass::RateLimited if !is_best_effort => {
                    return Err(error.into());
                }
                ErrorClass::Permanent | ErrorClass::Retryable | ErrorClass::Outage | ErrorClass::RateLimited => {
                    let problem = format!("{}/{} {}: {error}", task.topic, task.task, task.id);
                    refused.push(bounded_text(&problem));
                }
            }
        }
        Ok((published, refused))
    }
}

/// A task that follows from a replayed event.
struct Following {
    task: TaskEnvelope,
    /// The rest goes on without it.
    is_best_effort: bool,
}

impl EventPreview {
    fn look_at(&mut self, runner: &BulkRunner, logged: &LoggedEvent, route: Option<&DispatchTarget>) {
        self.events += 1;
        self.first.get_or_insert(logged.published_at);
        self.last = Some(logged.published_at);
        // Any id: nothing is published under it.
        match runner.tasks_of(logged, logged.event.id, route) {
            Ok(tasks) if tasks.is_empty() => self.without_tasks += 1,
            Ok(tasks) => {
                for Following { task, .. } in tasks {
                    *self.tasks.entry(format!("{}/{}", task.topic, task.task)).or_default() += 1;
                }
            }
            Err(problem) => {
                self.failed += 1;
                keep(&mut self.problems, vec![problem]);
            }
        }
    }
}

/// Events of one step.
struct Page {
    events: Vec<LoggedEvent>,
    /// Why listed ones are not among them.
    missing: Vec<String>,
    cursor: Option<BulkCursor>,
    is_last: bool,
}

/// Keeps the first few.
fn keep(kept: &mut Vec<String>, more: Vec<String>) {
    let room = MOST_PROBLEMS.saturating_sub(kept.len());
    kept.extend(more.into_iter().take(room));
}
