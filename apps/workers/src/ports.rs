//! What the handlers are built with.

use std::sync::Arc;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::effects::{EmailSender, ObjectStorage, WebhookSender};
use aftercommit_domain::events::EventsPublisher;
use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::billing::BillingProvider;
use aftercommit_domain::reference::workflows::{EXPORT_PART_BYTES, WorkflowPorts};
use aftercommit_domain::tasks::QueuePublisher;

use crate::built_in_services::BuiltInServices;
use crate::ledger_billing::LedgerBilling;
use crate::templates::{TemplateError, Templates};

/// What a part of an export has. Tests kill processes between parts, for which each page of records is one.
const PART_BYTES: usize = if cfg!(feature = "failpoints") {
    1
} else {
    EXPORT_PART_BYTES
};

/// What the handlers are built with.
#[derive(Clone)]
pub struct HandlerPorts {
    /// The product's stores, time, ids and randomness.
    pub reference: ReferencePorts,
    /// Sends the e-mails.
    pub email: Arc<dyn EmailSender>,
    /// Sends the webhooks.
    pub webhooks: Arc<dyn WebhookSender>,
    /// What the e-mails say.
    pub templates: Arc<Templates>,
    /// Charges for what is used.
    pub billing: Arc<dyn BillingProvider>,
    /// What is published outside a transaction.
    pub rails: Rails,
    /// Keeps the files of exports.
    pub storage: Arc<dyn ObjectStorage>,
    /// Whether what can be a workflow is started as one, because there is an engine. Else its task does it alone.
    pub has_workflow_engine: bool,
}

/// What handlers publish with when what they tell of, or fan out, is durable already.
#[derive(Clone)]
pub struct Rails {
    /// The direct rail.
    pub events: Arc<dyn EventsPublisher>,
    /// The topics.
    pub queue: Arc<dyn QueuePublisher>,
    /// Makes the envelopes.
    pub envelopes: EnvelopeFactory,
}

impl Rails {
    /// To tell of what is durable.
    pub(crate) fn direct(&self) -> (&dyn EventsPublisher, &EnvelopeFactory) {
        (&*self.events, &self.envelopes)
    }

    /// To fan out what is durable.
    pub(crate) fn tasks(&self) -> (&dyn QueuePublisher, &EnvelopeFactory) {
        (&*self.queue, &self.envelopes)
    }
}

impl HandlerPorts {
    /// Handlers with these ports, a ledger that stands in for a billing provider, and the templates of this build, each of which
    /// was rendered once.
    ///
    /// # Errors
    /// A template that cannot be rendered: better at the start than at the first e-mail.
    pub fn new(
        reference: ReferencePorts,
        email: Arc<dyn EmailSender>,
        webhooks: Arc<dyn WebhookSender>,
        storage: Arc<dyn ObjectStorage>,
        rails: Rails,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            billing: Arc::new(LedgerBilling::new(reference.clone())),
            reference,
            email,
            webhooks,
            storage,
            rails,
            templates: Arc::new(Templates::load()?),
            has_workflow_engine: false,
        })
    }

    /// What the workflows are built with: the same, and services of projects that nothing has to be opened for.
    pub fn for_workflows(self) -> WorkflowPorts {
        WorkflowPorts {
            reference: self.reference,
            billing: self.billing,
            services: Arc::new(BuiltInServices),
            storage: self.storage,
            export_part_bytes: PART_BYTES,
        }
    }

    /// With an engine of workflows, or without.
    #[must_use]
    pub const fn with_workflow_engine(mut self, has_workflow_engine: bool) -> Self {
        self.has_workflow_engine = has_workflow_engine;
        self
    }
}
