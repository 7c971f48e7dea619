//! The topic `notification-email`.

mod send;

pub(crate) use send::SendNotificationEmailHandler;
