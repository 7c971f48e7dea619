//! Incidents: troubles that records tell of, at most one open for each source.

mod evaluation;
mod events;
mod incident;
mod incident_repository;
mod tasks;
pub mod use_cases;

pub use evaluation::{Evaluation, Severity, evaluate};
pub use events::{IncidentClosed, IncidentOpened};
pub use incident::{Incident, IncidentSource};
pub use incident_repository::{IncidentCounts, IncidentRepository};
pub use tasks::{CheckIncident, EvaluateRecord, SweepOpenIncidents};
