//! What the API is built with.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::effects::Downloads;
use aftercommit_domain::events::EventsPublisher;
use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::time::seconds;

/// What the API is built with: ports, none of which has an effect outside the database and the queue.
#[derive(Clone)]
pub struct ApiState {
    /// The product's stores, time, ids and randomness.
    pub reference: ReferencePorts,
    /// The direct rail, for record ingestion.
    pub events: Arc<dyn EventsPublisher>,
    /// Makes the envelopes of the direct rail.
    pub envelopes: EnvelopeFactory,
    /// Objects by link; without it there is nothing to download.
    pub downloads: Option<Downloads>,
    /// The longest a request may take; then it is answered 503. Defaults to 15 s.
    pub request_timeout: Duration,
}

impl ApiState {
    /// A state with the default limits.
    pub fn new(reference: ReferencePorts, events: Arc<dyn EventsPublisher>, envelopes: EnvelopeFactory) -> Self {
        Self {
            reference,
            events,
            envelopes,
            downloads: None,
            request_timeout: seconds(15),
        }
    }

    /// The same, with objects to download.
    #[must_use]
    pub fn with_downloads(mut self, downloads: Downloads) -> Self {
        self.downloads = Some(downloads);
        self
    }
}
