//! What the handlers are built with.

use std::sync::Arc;

use aftercommit_domain::effects::{EmailSender, WebhookSender};
use aftercommit_domain::reference::ReferencePorts;

use crate::templates::{TemplateError, Templates};

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
}

impl HandlerPorts {
    /// Handlers with these ports and the templates of this build, each of which was rendered once.
    ///
    /// # Errors
    /// A template that cannot be rendered: better at the start than at the first e-mail.
    pub fn new(
        reference: ReferencePorts,
        email: Arc<dyn EmailSender>,
        webhooks: Arc<dyn WebhookSender>,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            reference,
            email,
            webhooks,
            templates: Arc::new(Templates::load()?),
        })
    }
}
