//! Webhooks: what a project tells programs of its owner, over HTTP.

mod delivery_health;
mod events;
mod tasks;
pub mod use_cases;
mod webhook_body;
mod webhook_endpoint;
mod webhook_endpoint_repository;
mod webhook_event;

pub use delivery_health::{
    DISABLED_AFTER, DeliveryHealth, DisableReason, FAILURES_BEFORE_COOL_DOWN, FIRST_COOL_DOWN, LONGEST_COOL_DOWN,
};
pub use events::{WebhookEndpointCreated, WebhookEndpointDeleted, WebhookEndpointDisabled};
pub use tasks::{DeliverWebhook, FanOutWebhooks};
pub use webhook_body::webhook_body;
pub use webhook_endpoint::{EndpointState, MAX_ENDPOINTS, WebhookEndpoint};
pub use webhook_endpoint_repository::WebhookEndpointRepository;
pub use webhook_event::{WebhookEvent, WebhookEventKind};
