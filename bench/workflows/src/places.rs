//! The servers that are measured on: those the environment names, or throw-away ones.

use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

/// Everything that a run needs. What was started for it is gone with this value.
pub(crate) struct Places {
    temporal: String,
    postgres: Database,
    amqp: Option<Database>,
    _servers: Servers,
}

/// Where an application keeps its messages.
pub(crate) struct Database {
    pub(crate) url: String,
    /// The broker of the queue, if it is not in the database.
    pub(crate) amqp_url: Option<String>,
}

#[derive(Default)]
struct Servers {
    temporal: Option<TemporalServer>,
    postgres: Option<(PostgresServer, Vec<TestDatabase>)>,
    rabbitmq: Option<RabbitMqServer>,
}

impl Places {
    pub(crate) async fn open(with_broker: bool) -> Self {
        let mut servers = Servers::default();
        let temporal = if let Some(address) = variable("TEMPORAL_ADDRESS") {
            address
        } else {
            let server = TemporalServer::start(TemporalOptions::default()).await;
            servers.temporal.insert(server).address().to_owned()
        };
        let amqp_url = match variable("AMQP_URL") {
            _ if !with_broker => None,
            Some(url) => Some(url),
            None => {
                let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
                Some(servers.rabbitmq.insert(server).url())
            }
        };
        // Two applications on one database would meet, so a named one serves one after the other.
        let urls = if let Some(url) = variable("DATABASE_URL") {
            [url.clone(), url]
        } else {
            let server = PostgresServer::start(PostgresOptions::default()).await;
            let databases = vec![server.database(None).await, server.database(None).await];
            let urls = [databases[0].url(), databases[1].url()];
            servers.postgres = Some((server, databases));
            urls
        };
        let [postgres, with_broker] = urls;
        Self {
            temporal,
            postgres: Database {
                url: postgres,
                amqp_url: None,
            },
            amqp: amqp_url.map(|amqp_url| Database {
                url: with_broker,
                amqp_url: Some(amqp_url),
            }),
            _servers: servers,
        }
    }

    /// Where Temporal is.
    pub(crate) fn temporal(&self) -> &str {
        &self.temporal
    }

    /// Where applications can be, by name.
    pub(crate) fn databases(&self) -> impl Iterator<Item = (&'static str, &Database)> {
        let amqp = self.amqp.as_ref().map(|amqp| ("postgres_rabbitmq", amqp));
        [("postgres", &self.postgres)].into_iter().chain(amqp)
    }
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark's variables")]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}
