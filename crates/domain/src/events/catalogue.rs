//! The events an application knows.

use serde::Serialize;

use crate::contract::{
    AggregateType, Cause, Codec, DecodeError, EncodeError, EnvelopeFactory, EventEnvelope, EventName, Json, Scope,
};
use crate::events::DomainEvent;
use crate::failure::{Classified, ErrorClass};

/// The events an application knows. Each must have an entry in its [`Routes`](crate::events::Routes).
#[derive(Clone, Default)]
pub struct EventCatalogue {
    events: Vec<EventDescriptor>,
    readers: Vec<ReadEvent>,
    checks: Vec<CheckEvent>,
}

type CheckEvent = fn(&EventEnvelope, &Codec) -> Result<(), DecodeError>;
type ReadEvent = fn(&Json, &EnvelopeFactory, &Cause) -> Result<EventEnvelope, ReadInputError>;

/// A person's input did not become a message.
#[derive(Debug, thiserror::Error)]
pub enum ReadInputError {
    /// It is not the contract's payload, or nothing here knows the contract.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It does not become an envelope.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Classified for ReadInputError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Decode(error) => error.class(),
            Self::Encode(error) => error.class(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Encode(error) => error.code(),
        }
    }
}

/// What is known of an event without an instance of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventDescriptor {
    /// Its name.
    pub name: EventName,
    /// The newest version.
    pub version: u16,
    /// What it is about.
    pub aggregate: AggregateType,
    /// Which tenant ids it carries.
    pub scope: Scope,
    /// Why fewer than both.
    pub exemption: Option<&'static str>,
}

impl EventCatalogue {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event.
    pub fn with<E: DomainEvent>(mut self) -> Self {
        self.events.push(EventDescriptor {
            name: E::NAME,
            version: E::VERSION,
            aggregate: E::AGGREGATE,
            scope: E::SCOPE,
            exemption: E::EXEMPTION,
        });
        self.checks.push(|event, codec| {
            codec
                .decode::<E>(&event.payload, event.version, &event.tenant, event.id)
                .map(|_| ())
        });
        self.readers.push(|input, envelopes, cause| {
            let event: E = envelopes.codec().read_input(input)?;
            Ok(envelopes.event(envelopes.new_id(), &event, cause)?)
        });
        self
    }

    /// The envelope of an event a person wrote as JSON, with secrets in clear, which are sealed here.
    ///
    /// # Errors
    /// No event of this name is in the catalogue, or the JSON is not its payload.
    pub fn read_input(
        &self,
        name: &str,
        input: &Json,
        envelopes: &EnvelopeFactory,
        cause: &Cause,
    ) -> Result<EventEnvelope, ReadInputError> {
        let at = self.events.iter().position(|event| event.name.as_str() == name);
        let Some(read) = at.and_then(|at| self.readers.get(at)) else {
            return Err(DecodeError::Unknown {
                contract: format!("the event {name}"),
            }
            .into());
        };
        read(input, envelopes, cause)
    }

    /// Refuses an event whose payload is not what its contract says, whoever wrote it. Passes what this build cannot judge,
    /// which others may: an event it does not know, a newer version, a secret it has no key for.
    ///
    /// # Errors
    /// What is wrong with the payload, or with whose it is.
    pub fn check(&self, event: &EventEnvelope, codec: &Codec) -> Result<(), DecodeError> {
        let at = self.events.iter().position(|known| known.name == event.name);
        let Some(check) = at.and_then(|at| self.checks.get(at)) else {
            return Ok(());
        };
        match check(event, codec) {
            Ok(()) | Err(DecodeError::Unknown { .. } | DecodeError::Seal { .. }) => Ok(()),
            Err(error) if error.is_of_a_newer_build() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The events, in the order they were added.
    pub fn events(&self) -> &[EventDescriptor] {
        &self.events
    }
}

/// Lists the events of an application: `catalogue![InvoicePaid, InvoiceViewed]`.
#[macro_export]
macro_rules! catalogue {
    ($($event:ty),* $(,)?) => {
        $crate::events::EventCatalogue::new()$(.with::<$event>())*
    };
}
