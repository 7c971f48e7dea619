//! What can be done about incidents.

mod check_incident;
mod close;
mod evaluate_record;
mod sweep_open_incidents;

use close::close;

pub use check_incident::check_incident;
pub use evaluate_record::evaluate_record;
pub use sweep_open_incidents::sweep_open_incidents;
