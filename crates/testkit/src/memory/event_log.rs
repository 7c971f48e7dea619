//! The event log as a list.

use std::collections::HashMap;

use aftercommit_domain::contract::EventEnvelope;
use aftercommit_domain::events::{EventCursor, EventFilter, EventLog, EventLogError, LoggedEvent};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::{InMemory, list_limit};

/// The kept events, oldest first.
#[derive(Default)]
pub(super) struct Events {
    events: Vec<LoggedEvent>,
    places: HashMap<MessageId, usize>,
}

impl Events {
    pub(super) fn record(&mut self, events: impl IntoIterator<Item = LoggedEvent>) {
        for logged in events {
            let place = self.events.len();
            if let std::collections::hash_map::Entry::Vacant(vacant) = self.places.entry(logged.event.id) {
                vacant.insert(place);
                self.events.push(logged);
            }
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &LoggedEvent> {
        self.events.iter()
    }

    fn prune(&mut self, before: Timestamp, limit: u32) -> u64 {
        let oldest = self.events.iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
        let count = oldest.take_while(|logged| logged.published_at < before).count();
        self.events.drain(..count);
        let places = self.events.iter().enumerate();
        self.places = places.map(|(place, logged)| (logged.event.id, place)).collect();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn list(&self, filter: &EventFilter) -> Vec<LoggedEvent> {
        let newest_first = self.events.iter().rev().filter(|logged| filter.fits(&logged.event));
        newest_first.take(list_limit(filter.limit)).cloned().collect()
    }

    fn page(&self, filter: &EventFilter, after: Option<&EventCursor>, limit: u32) -> Vec<LoggedEvent> {
        let mut fitting: Vec<&LoggedEvent> = self
            .events
            .iter()
            .filter(|logged| filter.fits(&logged.event) && after.is_none_or(|after| *after < logged.cursor()))
            .collect();
        fitting.sort_by_key(|logged| logged.cursor());
        fitting.into_iter().take(list_limit(Some(limit))).cloned().collect()
    }
}

#[async_trait]
impl EventLog for InMemory {
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError> {
        let published_at = self.now();
        self.lock().events.record(events.iter().map(|event| LoggedEvent {
            event: event.clone(),
            published_at,
        }));
        Ok(())
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        Ok(self.lock().events.list(filter))
    }

    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&EventCursor>,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, EventLogError> {
        Ok(self.lock().events.page(filter, after, limit))
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError> {
        Ok(self.lock().events.prune(before, limit))
    }

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        let state = self.lock();
        let place = state.events.places.get(&id);
        Ok(place.and_then(|place| state.events.events.get(*place)).cloned())
    }
}
