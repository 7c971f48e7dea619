//! `trial-app` on each provider.

use aftercommit_e2e::Setup;
use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::trial::TrialApp;
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;

/// Where the tasks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Sqlite,
    Postgres,
    RabbitMq,
}

/// A database, and a virtual host of the broker where there is one, for one application. It outlives its processes.
pub(crate) struct Stage {
    pub(crate) setup: Setup,
    _database: Option<TestDatabase>,
}

impl Stage {
    /// Everything a process waits for is short, so that what a dead one had comes again soon.
    pub(crate) async fn on(provider: Provider) -> Self {
        let mut setup = Setup::default()
            .set(
                "AFTERCOMMIT_LOG__FILTER",
                "info,sqlx_core=error,lapin=off,aftercommit_runtime::worker=error",
            )
            // More than the handlers that keep theirs.
            .set("TOKIO_WORKER_THREADS", "4")
            .set("AFTERCOMMIT_WORKER__LEASE", "1s")
            .set("AFTERCOMMIT_RELAY__LEASE", "1s")
            .set("AFTERCOMMIT_RELAY__IDLE_POLL", "200ms");
        let mut database = None;
        if provider != Provider::Sqlite {
            let made = PostgresServer::shared().await.database(None).await;
            setup = setup
                .set("DATABASE_URL", &made.url())
                .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS);
            database = Some(made);
        }
        if provider == Provider::RabbitMq {
            let url = RabbitMqServer::shared().await.new_vhost().await;
            setup = setup
                .set("AMQP_URL", &url)
                .set("AFTERCOMMIT_AMQP__HEARTBEAT", "1s")
                .set("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "3s");
        }
        Self {
            setup,
            _database: database,
        }
    }

    /// Starts a process, set up with these variables as well.
    pub(crate) async fn start(&self, variables: &[(&str, &str)]) -> TrialApp {
        TrialApp::start(env!("CARGO_BIN_EXE_trial-app"), self.with(variables)).await
    }

    /// Its setup with these variables.
    pub(crate) fn with(&self, variables: &[(&str, &str)]) -> Setup {
        variables
            .iter()
            .fold(self.setup.clone(), |setup, (name, value)| setup.set(name, value))
    }
}
