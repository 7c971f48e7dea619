//! The dispatcher: what an event leads to, by the table.

mod failing;
mod refusing;
mod routing;

use aftercommit_domain::ids::MessageId;

/// The id of the first dispatch of an event to this topic and task, as it is written down in the contract of routes.
fn dispatch_id(event: MessageId, target: &str) -> MessageId {
    event.derive(&format!("{target}\u{1f}#0"))
}
