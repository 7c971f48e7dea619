//! Servers of a test's own, and the product's programs on them as processes apart.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// Longer than anything takes: leases and heartbeats of what was killed run out, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// Waits for what is to come.
///
/// # Panics
/// It does not come.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(asked.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A process of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `aftercommit-api`
    Api,
    /// `aftercommit-workers` with everything but handlers.
    Rail,
    /// `aftercommit-workers` with the handlers.
    Topics,
    /// `aftercommit-workflows`
    Workflows,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Rail, Self::Topics, Self::Workflows];

    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Rail => "rail",
            Self::Topics => "topics",
            Self::Workflows => "workflows",
        }
    }

    fn program(self) -> &'static Path {
        Path::new(match self {
            Self::Api => env!("CARGO_BIN_EXE_aftercommit-api"),
            Self::Rail | Self::Topics => env!("CARGO_BIN_EXE_aftercommit-workers"),
            Self::Workflows => env!("CARGO_BIN_EXE_aftercommit-workflows"),
        })
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Api | Self::Workflows => &[],
            Self::Rail => &["--roles", "relay,dispatcher,scheduler,maintenance"],
            Self::Topics => &["--roles", "topics"],
        }
    }
}

/// Servers and processes of one test. All of it ends with this.
pub(crate) struct Installation {
    // First, so that they end before the servers.
    processes: Vec<(Part, Child)>,
    database: TestDatabase,
    pub(crate) postgres: PostgresServer,
    pub(crate) rabbitmq: RabbitMqServer,
    pub(crate) temporal: TemporalServer,
    /// Where e-mails go. It belongs to somebody else, and stays.
    pub(crate) mail: RecordingSmtpServer,
    folder: TempDir,
    api: SocketAddr,
    variables: Vec<(&'static str, String)>,
}

impl Installation {
    /// Everything is there and ready.
    pub(crate) async fn start() -> Self {
        let (postgres, rabbitmq, temporal, mail) = tokio::join!(
            PostgresServer::start(PostgresOptions::default()),
            RabbitMqServer::start(RabbitMqOptions::default()),
            TemporalServer::start(TemporalOptions::default().durable()),
            RecordingSmtpServer::start(),
        );
        let (database, mail) = (postgres.database(None).await, mail.unwrap());
        let (folder, api) = (tempfile::tempdir().unwrap(), kept_address());
        let storage = folder.path().join("storage");
        fs::create_dir(&storage).unwrap();
        let variables = vec![
            ("DATABASE_URL", database.url()),
            ("AMQP_URL", rabbitmq.url()),
            ("TEMPORAL_ADDRESS", temporal.address().to_owned()),
            ("SMTP_URL", mail.url()),
            ("MAIL_FROM", "no-reply@product.example".to_owned()),
            ("STORAGE_URL", format!("file://{}", storage.display())),
            ("AFTERCOMMIT_SEALING__KEYS", format!("k1:{}=", "A".repeat(43))),
            ("AFTERCOMMIT_HTTP__PUBLIC_URL", format!("http://{api}")),
        ];
        let mut installation = Self {
            processes: Vec::new(),
            database,
            postgres,
            rabbitmq,
            temporal,
            mail,
            folder,
            api,
            variables,
        };
        installation.start_processes(&Part::ALL).await;
        installation
    }

    /// Kills the servers and every process with SIGKILL. The mail server stays.
    pub(crate) async fn kill_everything(&mut self) {
        // What acts goes first, so that nothing is done about the death of another.
        self.kill_processes(&Part::ALL);
        tokio::join!(self.postgres.kill9_all(), self.rabbitmq.kill(), self.temporal.kill());
    }

    /// Starts it again, at the same addresses and with what is on the disk.
    pub(crate) async fn start_everything_again(&mut self) {
        tokio::join!(
            self.postgres.restart(),
            self.rabbitmq.start_again(),
            self.temporal.start_again()
        );
        self.start_processes(&Part::ALL).await;
    }

    /// Kills these processes with SIGKILL.
    pub(crate) fn kill_processes(&mut self, parts: &[Part]) {
        let (mut killed, left): (Vec<_>, Vec<_>) = self.processes.drain(..).partition(|(part, _)| parts.contains(part));
        self.processes = left;
        assert_eq!(killed.len(), parts.len(), "they run");
        for (_, process) in &mut killed {
            process.kill().unwrap();
        }
        for (part, process) in &mut killed {
            let status = process.wait().unwrap();
            assert_eq!(status.code(), None, "{part:?} had ended by itself");
        }
    }

    /// Starts these processes, and waits until they are ready.
    pub(crate) async fn start_processes(&mut self, parts: &[Part]) {
        for part in parts {
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.log_of(*part))
                .unwrap();
            let mut command = self.command(part.program(), *part);
            let command = command
                .args(part.arguments())
                .stdout(log.try_clone().unwrap())
                .stderr(log);
            self.processes.push((*part, command.spawn().unwrap()));
        }
        for part in parts {
            self.is_ready(*part).await;
        }
    }

    async fn is_ready(&mut self, part: Part) {
        let run_file = self.data_of(part).join("run.json");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let log = self.log_of(part);
        let (_, process) = self.processes.iter_mut().find(|(known, _)| *known == part).unwrap();
        eventually(part.name(), async || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!("{part:?} ended ({status}):\n{}", fs::read_to_string(&log).unwrap());
            }
            let run: Value = serde_json::from_str(&fs::read_to_string(&run_file).ok()?).ok()?;
            // What a killed process has left names another one.
            let url = run["url"].as_str().filter(|_| run["pid"] == process.id())?;
            let answer = client.get(format!("{url}/ready")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// What Prometheus is shown of this process.
    pub(crate) async fn metrics(&self, part: Part) -> String {
        let run = fs::read_to_string(self.data_of(part).join("run.json")).unwrap();
        let run: Value = serde_json::from_str(&run).unwrap();
        let url = format!("{}/metrics", run["url"].as_str().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Where the API listens, before and after a kill.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// A command of the command line, which asks the process with the handlers.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_aftercommit"));
        self.command(program, Part::Topics).args(arguments).output().unwrap()
    }

    /// The document that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(&[arguments, &["--json"]].concat());
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {problem}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A connection that sees every tenant's rows.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.database.superuser_url()).await.unwrap()
    }

    /// Where files of exports are.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    fn data_of(&self, part: Part) -> PathBuf {
        self.folder.path().join(part.name())
    }

    fn log_of(&self, part: Part) -> PathBuf {
        self.folder.path().join(format!("{}.log", part.name()))
    }

    fn command(&self, program: &Path, part: Part) -> Command {
        let http = match part {
            Part::Api => self.api.to_string(),
            Part::Rail | Part::Topics | Part::Workflows => "127.0.0.1:0".to_owned(),
        };
        let mut command = Command::new(program);
        command
            // Neither the environment nor a file of whoever runs the tests may play a part.
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("HTTP_ADDR", http)
            .env("AFTERCOMMIT_DATA_DIR", self.data_of(part))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, process) in &mut self.processes {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            for part in Part::ALL {
                let log = fs::read_to_string(self.log_of(part)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
                eprintln!("the end of the log of {}:\n{}", part.name(), last.join("\n"));
            }
        }
    }
}

/// An address that the system gives to nobody by itself, so that none takes it while its process is dead.
fn kept_address() -> SocketAddr {
    const PORTS: std::ops::Range<u16> = 10_000..15_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    // Tests that run at the same time, here and in other programs, begin to look at places of their own.
    let own = std::process::id() * 31 + ASKED.fetch_add(1, Ordering::Relaxed) * 97;
    let start = PORTS.start + u16::try_from(own % 5_000).unwrap();
    (start..PORTS.end)
        .chain(PORTS.start..start)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap()
}
