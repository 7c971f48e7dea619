//! The topic `invitations`.

mod expire;

pub(crate) use expire::ExpireInvitationHandler;
