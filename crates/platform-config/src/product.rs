//! `AFTERCOMMIT_REFERENCE__*`: what an operator may set about the reference product.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the reference product; an application of its own does not look at them.
#[derive(Debug, PartialEq, Eq)]
pub struct ReferenceSettings {
    /// How long an invitation can be accepted. Defaults to 7 d.
    pub invitation_ttl: Duration,
    /// How long a magic link works. Defaults to 15 min.
    pub sign_in_link_ttl: Duration,
}

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "reference.invitation_ttl",
        Form::seconds(1, 90 * 86_400),
        Preset::Value("7d"),
        "How long an invitation of the reference product can be accepted.",
    ),
    Key::new(
        "reference.sign_in_link_ttl",
        Form::seconds(1, 86_400),
        Preset::Value("15m"),
        "How long a magic link of the reference product works.",
    ),
];

impl ReferenceSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [invitation_ttl, sign_in_link_ttl] = &KEYS;
        Self {
            invitation_ttl: reading.span(invitation_ttl),
            sign_in_link_ttl: reading.span(sign_in_link_ttl),
        }
    }
}
