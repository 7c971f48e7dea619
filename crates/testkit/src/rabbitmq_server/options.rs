//! How a server of a test's own is set up.

/// Options of [`RabbitMqServer::start`](super::RabbitMqServer::start).
///
/// Without any, the server has no plugins, takes plain connections of the user `guest`, and minds neither the memory nor
/// the disk of the machine before both are all but full.
#[derive(Debug, Clone, Default)]
pub struct RabbitMqOptions {
    pub(super) settings: Vec<(String, String)>,
    pub(super) tls: Option<Tls>,
}

/// What the TLS listener shows and asks for, in PEM.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) authorities: String,
    pub(super) asks_clients: bool,
}

impl RabbitMqOptions {
    /// A line of `rabbitmq.conf`. A later setting of the same name wins.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Refuses messages whose body has more bytes.
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.setting("max_message_size", &bytes.to_string())
    }

    /// Also listens with TLS, at [`tls_port`](super::RabbitMqServer::tls_port): with this certificate (and what links it
    /// to its authority), its key, and the certificates of the authorities that clients' certificates are checked with.
    /// All three are PEM.
    pub fn tls(mut self, certificate: &str, key: &str, authorities: &str) -> Self {
        self.tls = Some(Tls {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authorities: authorities.to_owned(),
            asks_clients: false,
        });
        self
    }

    /// The same, and turns away clients without a certificate of these authorities.
    pub fn tls_verify_peer(self, certificate: &str, key: &str, authorities: &str) -> Self {
        let mut options = self.tls(certificate, key, authorities);
        if let Some(tls) = &mut options.tls {
            tls.asks_clients = true;
        }
        options
    }

    /// The configuration, of which the first lines are the server's own.
    pub(super) fn config(&self, own: Vec<(String, String)>) -> String {
        let mut lines = own;
        for (name, value) in &self.settings {
            lines.retain(|(known, _)| known != name);
            lines.push((name.clone(), value.clone()));
        }
        let lines = lines.iter().map(|(name, value)| format!("{name} = {value}"));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_setting_of_the_same_name_wins() {
        let options = RabbitMqOptions::default()
            .setting("heartbeat", "5")
            .max_message_size(100)
            .max_message_size(200);
        let config = options.config(vec![("heartbeat".to_owned(), "60".to_owned())]);
        assert_eq!(config, "heartbeat = 5\nmax_message_size = 200\n");
    }
}
