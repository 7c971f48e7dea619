//! The topic `webhooks`.

mod deliver;
mod fan_out;

pub(crate) use deliver::DeliverWebhookHandler;
pub(crate) use fan_out::FanOutWebhooksHandler;
