//! The one table of all keys: the reference, the defaults and the check for unknown keys go by it.

use crate::{
    admin, amqp, amqp_certificates, amqp_url, data_dir, database, history, http, key::Key, log, mail, postgres,
    product, relay, sealing, shutdown, sqlite, storage, temporal, topics, webhooks, worker,
};

/// All keys, in the order of the reference.
static KEYS: [&[Key]; 21] = [
    &database::KEYS,
    &amqp_url::KEYS,
    &temporal::KEYS,
    &mail::KEYS,
    &storage::KEYS,
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

pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.into_iter().flatten()
}
