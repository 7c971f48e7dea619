//! `AFTERCOMMIT_WEBHOOKS__*`: where webhooks may be sent.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};

/// Settings of outgoing webhooks.
#[derive(Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Whether webhooks may also be sent without TLS and into private networks. Defaults to false.
    pub allow_private_addresses: bool,
}

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "webhooks.allow_private_addresses",
    Form::Flag,
    Preset::Value("false"),
    "Whether webhooks may also be sent over http:// and to addresses that are not on the public internet: this machine, \
     private networks, the metadata of a cloud. For development, and where everybody who may name an address is trusted.",
)];

impl WebhookSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [allow_private_addresses] = &KEYS;
        Self {
            allow_private_addresses: reading.flag(allow_private_addresses),
        }
    }

    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        self.allow_private_addresses.then(|| {
            "AFTERCOMMIT_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES: whoever may make a webhook can reach this machine and its \
             networks; leave it out where that is not everybody's right"
                .to_owned()
        })
    }
}
