//! What the servers have in common that a test starts for itself.

pub(crate) mod ports;
pub(crate) mod secret;
#[cfg(any(
    feature = "postgres-server",
    feature = "rabbitmq-server",
    feature = "temporal-server"
))]
pub(crate) mod signals;
pub(crate) mod trouble;
#[cfg(any(feature = "rabbitmq-server", feature = "s3-server", feature = "temporal-server"))]
pub(crate) mod watcher;
