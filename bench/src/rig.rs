//! What a workload runs on: the provider in its directory, and the real engine with outcomes, metrics and logs on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aftercommit::catalogue;
use aftercommit::config::Settings;
use aftercommit::runtime::worker::Topic;
use aftercommit::runtime::{Engine, EngineOptions, Health, RunningEngine};
use aftercommit::{Aftercommit, Kit};
use aftercommit_platform_telemetry::{LogFormat, LogOptions, MetricsHandle};

use crate::contracts::{self, BenchHappened};
use crate::measured::{Measured, Settled};
use crate::postgres::BenchDatabase;
use crate::{Options, Provider, Synchronous};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Handlers at once, as for the peers.
pub(crate) const HANDLERS: usize = 50;

/// What a workload runs on.
pub(crate) struct Rig {
    pub(crate) kit: Kit,
    pub(crate) directory: PathBuf,
    database: Option<BenchDatabase>,
    synchronous: Synchronous,
    metrics: MetricsHandle,
    /// Removes the directory at the end, unless it is kept.
    temporary: Option<tempfile::TempDir>,
    keep: bool,
}

impl Rig {
    pub(crate) async fn open(options: &Options) -> Result<Self, BoxError> {
        let temporary = if options.directory.is_none() {
            Some(tempfile::tempdir()?)
        } else {
            None
        };
        let directory = match (&options.directory, &temporary) {
            (Some(directory), _) => directory.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err("no directory".into()),
        };
        let database = match options.provider {
            Provider::Sqlite => None,
            Provider::Postgres | Provider::Amqp => Some(BenchDatabase::create().await?),
        };
        let mut environment = vec![
            (
                "AFTERCOMMIT_DATA_DIR".to_owned(),
                directory.join("data").display().to_string(),
            ),
            (
                "AFTERCOMMIT_SQLITE__SYNCHRONOUS".to_owned(),
                word(options.synchronous).to_owned(),
            ),
        ];
        if let Some(database) = &database {
            environment.push(("DATABASE_URL".to_owned(), database.url.clone()));
        }
        if options.provider == Provider::Amqp {
            #[expect(clippy::disallowed_methods, reason = "a benchmark's other variable")]
            let broker = std::env::var("AMQP_URL").map_err(|_| "--provider amqp needs AMQP_URL")?;
            environment.push(("AMQP_URL".to_owned(), broker));
            let prefix = format!("bench-{}", std::process::id());
            environment.push(("AFTERCOMMIT_AMQP__PREFIX".to_owned(), prefix));
        }
        let settings = Settings::from_sources(environment, None)?;
        aftercommit_platform_telemetry::init(&LogOptions::new(settings.log.filter.clone(), LogFormat::Pretty))?;
        let metrics = aftercommit_platform_telemetry::install_metrics()?;
        let opened = Aftercommit::from_env()
            .source("/bench")
            .events(catalogue![BenchHappened])
            .routes(contracts::routes())
            .open(settings)
            .await?;
        let kit = opened.kit().clone();
        Ok(Self {
            kit,
            directory,
            database,
            synchronous: options.synchronous,
            metrics,
            temporary,
            keep: options.keep,
        })
    }

    /// Starts the engine with this topic; its durable settles are counted.
    pub(crate) fn start(&self, topic: Topic, settled: &Arc<Settled>) -> Result<RunningEngine, BoxError> {
        let mut ports = self.kit.engine_ports();
        ports.queue_consumer = Arc::new(Measured {
            inner: ports.queue_consumer,
            settled: Arc::clone(settled),
        });
        let topic = topic.concurrency(HANDLERS);
        let engine = Engine::new(
            ports,
            EngineOptions::default(),
            &catalogue![BenchHappened],
            contracts::routes(),
            vec![topic],
        )?;
        Ok(engine.start(&Health::new(self.kit.clock())))
    }

    /// Waiting and running tasks: none after a workload is over.
    pub(crate) async fn rows_left(&self) -> Result<u64, BoxError> {
        let depths = self.kit.task_inspector().depths().await?;
        Ok(depths
            .iter()
            .map(|depth| depth.available + depth.running + depth.scheduled)
            .sum())
    }

    /// Where its PostgreSQL database is.
    pub(crate) fn database_url(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.url.as_str())
    }

    pub(crate) fn synchronous(&self) -> &'static str {
        word(self.synchronous)
    }

    pub(crate) fn disk(&self) -> &Path {
        &self.directory
    }

    /// Closes the database and leaves or removes the data.
    pub(crate) async fn close(self) {
        self.kit.close().await;
        // Rendered once, so that the cost of recording was not for nothing.
        let _ = self.metrics.render();
        match self.database {
            Some(database) if self.keep => eprintln!("bench: the data is in {}", database.url),
            Some(database) => {
                if let Err(error) = database.drop().await {
                    eprintln!("bench: the database was not dropped: {error}");
                }
            }
            None => {}
        }
        if let Some(temporary) = self.temporary
            && self.keep
        {
            eprintln!("bench: the data is in {}", temporary.keep().display());
        }
    }
}

const fn word(synchronous: Synchronous) -> &'static str {
    match synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    }
}
