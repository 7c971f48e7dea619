//! Making a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::LongString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use lapin::{Connection, ConnectionProperties, Event, runtime};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::link::Epoch;
use crate::options::AmqpOptions;
use crate::trouble::{Trouble, TroubleKind};

/// What a connection tells of itself.
pub(super) type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// Makes connections for one purpose.
pub(crate) struct Dialler {
    options: AmqpOptions,
    name: String,
}

impl Dialler {
    pub(crate) fn new(options: &AmqpOptions, purpose: &str) -> Self {
        Self {
            options: options.clone(),
            name: format!("{} {purpose}", options.name),
        }
    }

    /// Connects within the time that is given for it.
    pub(crate) async fn dial(&self, number: u64) -> Result<(Arc<Epoch>, Events), Trouble> {
        let limit = self.options.connect_timeout;
        let runtime = runtime::default_runtime().map_err(Trouble::away)?;
        let connecting = Connection::connect_uri_with_config(self.uri(), self.properties(), self.tls(), runtime);
        let connection = timeout(limit, Box::pin(connecting))
            .await
            .map_err(|_| Trouble::silent("connect", limit))?
            .map_err(|error| self.explained(&Trouble::from(error)))?;
        let events: Events = Box::pin(connection.events_listener());
        Ok((Arc::new(Epoch::new(number, connection)), events))
    }

    fn uri(&self) -> AMQPUri {
        let options = &self.options;
        let has_identity = options.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        AMQPUri {
            scheme: if options.tls.is_some() {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: options.username.clone(),
                    password: options.password.expose_secret().into(),
                },
                host: options.host.clone(),
                port: options.port,
            },
            vhost: options.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: u16::try_from(options.heartbeat.as_secs().max(1)).ok(),
                connection_timeout: u64::try_from(options.connect_timeout.as_millis()).ok(),
                // Who shows a certificate and gives no name is who the certificate says.
                auth_mechanism: (has_identity && options.username.is_empty()).then_some(SASLMechanism::External),
                ..AMQPQueryString::default()
            },
        }
    }

    fn properties(&self) -> ConnectionProperties {
        ConnectionProperties::default().with_connection_name(LongString::from(self.name.as_str()))
    }

    fn tls(&self) -> OwnedTLSConfig {
        let tls = self.options.tls.clone().unwrap_or_default();
        OwnedTLSConfig {
            identity: tls.identity.map(|(certificate, key)| OwnedIdentity::PKCS8 {
                pem: certificate,
                key: key.expose_secret().as_bytes().to_vec(),
            }),
            cert_chain: tls.authorities,
        }
    }

    /// What a server means that ends the conversation without a word.
    fn explained(&self, trouble: &Trouble) -> Trouble {
        let place = format!("{}:{}", self.options.host, self.options.port);
        match trouble.kind {
            TroubleKind::Forbidden => Trouble::new(
                trouble.kind,
                format!(
                    "{place} refuses the login or the virtual host {:?}: {trouble}",
                    self.options.vhost
                ),
            ),
            kind @ (TroubleKind::Away
            | TroubleKind::Silent
            | TroubleKind::Blocked
            | TroubleKind::Missing
            | TroubleKind::Drifted
            | TroubleKind::Rejected) => Trouble::new(kind, format!("{place}: {trouble}")),
        }
    }
}

/// How often a connection is looked at that says nothing of itself.
pub(super) const LOOK: Duration = Duration::from_secs(1);
