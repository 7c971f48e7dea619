//! How a server of a test's own is set up.

/// Options of [`TemporalServer::start`](super::TemporalServer::start).
///
/// Without any, the server keeps what it knows in memory and has the namespace `default`.
#[derive(Debug, Clone, Default)]
pub struct TemporalOptions {
    pub(super) durable: bool,
    pub(super) arguments: Vec<String>,
}

impl TemporalOptions {
    /// Keeps what it knows in a file, so that a killed server that is started again goes on with it.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Makes a namespace beside `default`.
    pub fn namespace(self, name: &str) -> Self {
        self.argument("--namespace", name)
    }

    /// Knows a search attribute of this type, as `Keyword`.
    pub fn search_attribute(self, name: &str, kind: &str) -> Self {
        self.argument("--search-attribute", &format!("{name}={kind}"))
    }

    /// A value of the dynamic configuration, as JSON.
    pub fn dynamic_config(self, key: &str, value: &str) -> Self {
        self.argument("--dynamic-config-value", &format!("{key}={value}"))
    }

    fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }
}
