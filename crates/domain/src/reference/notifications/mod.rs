//! Notifications: what members are told, in the product and by e-mail as far as they want it.

mod events;
mod notification;
mod notification_preferences;
mod notification_repository;
mod tasks;
pub mod use_cases;

pub use events::NotificationCreated;
pub use notification::{Notification, NotificationKind};
pub use notification_preferences::NotificationPreferences;
pub use notification_repository::{NotificationPreferencesRepository, NotificationRepository};
pub use tasks::{
    CreateNotification, DeleteNotifications, IncidentChange, RequestDigestNotifications, RequestIncidentNotifications,
    SendNotificationEmail,
};
