//! The topic `magic-link-email`.

mod send;

pub(crate) use send::SendMagicLinkEmailHandler;
