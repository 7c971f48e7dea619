//! What use cases are built with.

use std::sync::Arc;

use crate::contract::Sealer;
use crate::ids::Ids;
use crate::randomness::Randomness;
use crate::reference::{ProductSettings, ReferenceReader, ReferenceUnitOfWorkFactory};
use crate::time::{Clock, Timestamp};

/// What use cases are built with: stores, time, ids and randomness. None of them reaches outside the database.
#[derive(Clone)]
pub struct ReferencePorts {
    /// Begins units of work.
    pub units: Arc<dyn ReferenceUnitOfWorkFactory>,
    /// Reads outside a unit of work.
    pub reader: Arc<dyn ReferenceReader>,
    /// Seals what is kept of answers.
    pub sealer: Arc<dyn Sealer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn Ids>,
    /// Makes secrets.
    pub randomness: Arc<dyn Randomness>,
    /// What an operator may set.
    pub settings: Arc<ProductSettings>,
}

impl ReferencePorts {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
