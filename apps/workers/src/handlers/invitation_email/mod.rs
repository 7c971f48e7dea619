//! The topic `invitation-email`.

mod send;

pub(crate) use send::SendInvitationEmailHandler;
