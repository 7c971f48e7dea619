//! What the handlers are built with.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::ReferencePorts;

use crate::templates::{TemplateError, Templates};

/// What the handlers are built with.
#[derive(Clone)]
pub struct HandlerPorts {
    /// The product's stores, time, ids and randomness.
    pub reference: ReferencePorts,
    /// Sends the e-mails.
    pub email: Arc<dyn EmailSender>,
    /// What the e-mails say.
    pub templates: Arc<Templates>,
}

impl HandlerPorts {
    /// Handlers with these ports and the templates of this build, each of which was rendered once.
    ///
    /// # Errors
    /// A template that cannot be rendered: better at the start than at the first e-mail.
    pub fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>) -> Result<Self, TemplateError> {
        Ok(Self {
            reference,
            email,
            templates: Arc::new(Templates::load()?),
        })
    }
}
