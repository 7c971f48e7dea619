//! What can be done with notifications.

mod ask_for_notifications;
mod claim_notification_email;
mod create_notification;
mod delete_notifications;
mod notification_preferences;
mod record_notification_email;
mod request_digest_notifications;
mod request_incident_notifications;

use ask_for_notifications::{Told, ask_for_notifications};

pub use claim_notification_email::{NotificationContent, NotificationEmail, claim_notification_email};
pub use create_notification::create_notification;
pub use delete_notifications::delete_notifications;
pub use notification_preferences::{set_notification_preferences, show_notification_preferences};
pub use record_notification_email::record_notification_email;
pub use request_digest_notifications::request_digest_notifications;
pub use request_incident_notifications::request_incident_notifications;
