//! The one table of all keys: the reference, the defaults and the check for unknown keys go by it.

use crate::{
    admin, amqp, amqp_certificates, amqp_url, data_dir, database, history, http, key::Key, log, mail, postgres,
    product, relay, sealing, shutdown, sqlite, temporal, topics, unsupported, webhooks, worker,
};

/// The keys that have an effect, in the order of the reference.
static SUPPORTED: [&[Key]; 20] = [
    &database::KEYS,
    &amqp_url::KEYS,
    &temporal::KEYS,
    &mail::KEYS,
    &webhooks::KEYS,
    &http::KEYS,
    &data_dir::KEYS,
    &relay::KEYS,
    &worker::KEYS,
    &topics::KEYS,
    &shutdown::KEYS,
    &history::KEYS,
    &product::KEYS,
    &sealing::KEYS,
    &log::KEYS,
    &admin::KEYS,
    &sqlite::KEYS,
    &postgres::KEYS,
    &amqp::KEYS,
    &amqp_certificates::KEYS,
];

pub(crate) fn supported_keys() -> impl Iterator<Item = &'static Key> {
    SUPPORTED.into_iter().flatten()
}

/// Every key that is recognised, with or without an effect.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    supported_keys().chain(&unsupported::KEYS)
}
