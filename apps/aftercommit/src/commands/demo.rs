//! `aftercommit demo`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aftercommit::config::{Database, Settings};
use aftercommit::domain::randomness::Randomness as _;
use aftercommit::runtime::system::SystemRandomness;
use aftercommit::{RunFile, Served};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::admin_client::DEADLINE;
use crate::cli::Demo;
use crate::command_error::CommandError;
use crate::commands::{print, program};
use crate::demo::admin::Admin;
use crate::demo::auditor::{Audit, Auditor};
use crate::demo::call::What;
use crate::demo::driver::Driver;
use crate::demo::embedded;
use crate::demo::ledger::Ledger;
use crate::demo::mailbox::Mailbox;
use crate::demo::progress::{Progress, say};
use crate::demo::summary::Summary;
use crate::demo::tally::Tally;
use crate::demo::target::Target;
use crate::demo::traffic::Traffic;
use crate::demo::world::World;
use crate::opened_file::OpenedFile;
use crate::running_process::RunningProcess;

/// Requests that wait to be followed.
const AUDITS: usize = 10_000;
/// How often the numbers of what waits are asked for, and the e-mails looked at.
const GLANCE: Duration = Duration::from_secs(1);

/// Shows it at work, and answers the exit status.
pub(crate) async fn execute(arguments: Demo) -> Result<ExitCode, CommandError> {
    let scene = Box::pin(Scene::prepare(&arguments)).await?;
    let result = Box::pin(scene.play(&arguments)).await;
    scene.clear().await;
    let summary = result?;
    let text = if arguments.output.json {
        format!("{:#}\n", summary.json())
    } else {
        format!("\n{}", summary.describe())
    };
    print(&text)?;
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where it takes place.
struct Scene {
    urls: Vec<String>,
    run_file: Option<PathBuf>,
    admin: Arc<Admin>,
    /// Where e-mails become files; empty when they do not.
    mail: Vec<PathBuf>,
    /// What runs in this process because nothing else did.
    served: Option<Served>,
    /// What is removed at the end.
    temporary: Option<tempfile::TempDir>,
}

impl Scene {
    async fn prepare(arguments: &Demo) -> Result<Self, CommandError> {
        let temporary = arguments.temporary.then(tempfile::tempdir).transpose();
        let temporary = temporary.map_err(CommandError::Output)?;
        let settings = match &temporary {
            Some(directory) => embedded::temporary(directory.path())?,
            None => Settings::load()?,
        };
        let mut mail = arguments.mail.clone();
        if mail.is_empty() && settings.mail.smtp.is_none() {
            mail.push(settings.mail.dir.clone());
        }
        let run_file = settings.data_dir.run_file();
        if !arguments.url.is_empty() {
            let urls = arguments
                .url
                .iter()
                .map(|url| url.as_str().trim_end_matches('/').to_owned());
            let urls: Vec<String> = urls.collect();
            say(&format!("Driving {}.\n", urls.join(", ")));
            let admin = Arc::new(Box::pin(admin_of(settings, Some(&urls))).await?);
            return Ok(Self {
                urls,
                run_file: None,
                admin,
                mail,
                served: None,
                temporary,
            });
        }
        if let Some(url) = running(&settings).await? {
            say(&format!("Driving the process that runs at {url}.\n"));
            let admin = Arc::new(Box::pin(admin_of(settings, None)).await?);
            return Ok(Self {
                urls: vec![url],
                run_file: Some(run_file),
                admin,
                mail,
                served: None,
                temporary,
            });
        }
        let (data, log) = (described(&settings), embedded::log_file(&settings.data_dir));
        let served = Box::pin(embedded::start(settings)).await?;
        let url = served.url();
        let fate = if temporary.is_some() {
            "removed at the end"
        } else {
            "kept"
        };
        say(&format!(
            "Nothing runs yet, so everything was started in this process.\n  address   {url}\n  data      {data} ({fate})\n  log       {log}\n"
        ));
        Ok(Self {
            urls: vec![url],
            run_file: Some(run_file.clone()),
            admin: Arc::new(Admin::of_run_file(run_file)),
            mail,
            served: Some(served),
            temporary,
        })
    }

    async fn play(&self, arguments: &Demo) -> Result<Summary, CommandError> {
        let began = Instant::now();
        let seed = arguments.seed.unwrap_or_else(|| u64::from(drawn()));
        // Of its own: requests of two runs on one database must not be taken for repetitions.
        let run = format!("{:08x}", drawn());
        let ledger = match &arguments.ledger {
            Some(path) => {
                let ledger = Ledger::begin(path, &run, seed).await;
                Some(ledger.map_err(|error| CommandError::Usage(error.to_string()))?)
            }
            None => None,
        };
        let tally = Arc::new(Tally::default());
        let mailbox = Mailbox::new(self.mail.clone(), &Traffic::address_suffix(&run));
        let mailbox = Arc::new(Mutex::new(mailbox));
        let (audits, coming) = mpsc::channel::<Audit>(AUDITS);
        let target = Target::new(self.urls.clone(), self.run_file.clone());
        let target = Arc::new(target.map_err(|error| CommandError::Unexpected(error.to_string()))?);
        let driver = Arc::new(Driver {
            target: Arc::clone(&target),
            ledger: ledger.clone(),
            tally: Arc::clone(&tally),
            world: Mutex::new(World::default()),
            mailbox: Arc::clone(&mailbox),
            audits,
            giving_up: CancellationToken::new(),
            broken: Mutex::new(None),
        });
        let (stop, enough, done) = (
            CancellationToken::new(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let mut beside = JoinSet::new();
        beside.spawn(signals(stop.clone(), [driver.giving_up.clone(), enough.clone()]));
        beside.spawn(glance(
            Arc::clone(&self.admin),
            Arc::clone(&tally),
            Arc::clone(&mailbox),
        ));
        let progress = Progress {
            tally: Arc::clone(&tally),
            length: arguments.length,
            patience: arguments.patience,
            target: self.urls.join(", "),
        };
        let mut shown = JoinSet::new();
        shown.spawn(progress.show(done.clone()));
        let auditor = Auditor {
            admin: Arc::clone(&self.admin),
            tally: Arc::clone(&tally),
        };
        let mut auditing = JoinSet::new();
        auditing.spawn(auditor.run(coming, enough.clone()));
        let spans = (arguments.length, arguments.patience);
        let traffic = Traffic::new(seed, &run);
        driver.drive(traffic, arguments.rate, spans, stop.clone()).await;
        let broken = driver.broken();
        // With the driver goes the last one who could send something to be followed.
        let world = std::mem::take(&mut *driver.world());
        drop(driver);
        if timeout(arguments.patience, auditing.join_next()).await.is_err() {
            enough.cancel();
            let _ended = auditing.join_next().await;
        }
        let metered = world.metering.check(&target, arguments.patience, &enough).await;
        beside.abort_all();
        look_at(Arc::clone(&mailbox)).await;
        done.cancel();
        let _shown = shown.join_next().await;
        let (emails_doubled, notifications_doubled) = {
            let (mailbox, mut numbers) = (locked(&mailbox), tally.lock());
            numbers.emails = mailbox.count();
            if !self.mail.is_empty() {
                numbers.emails_missing = mailbox.missing(&tally.sent());
            }
            (mailbox.beyond(&world), mailbox.told_again())
        };
        let numbers = tally.numbers();
        if let Some(ledger) = ledger {
            let ended = ledger.end(numbers.requests).await;
            ended.map_err(|reason| CommandError::Unwritten(format!("the ledger: {reason}")))?;
        }
        let folders: Vec<String> = self.mail.iter().map(|folder| folder.display().to_string()).collect();
        Ok(Summary {
            order: tally.compare(),
            metered,
            next: self.next(&world),
            run,
            seed,
            rate: arguments.rate,
            took: began.elapsed(),
            emails_doubled,
            notifications_doubled,
            mail_folder: (!folders.is_empty()).then(|| folders.join(", ")),
            ended_early: broken.or_else(|| stop.is_cancelled().then(|| "a signal came".to_owned())),
            numbers,
        })
    }

    /// Commands that work as they are.
    fn next(&self, world: &World) -> Vec<String> {
        let program = program();
        if self.temporary.is_some() {
            return vec![
                format!("{program} demo            # the same, and everything is kept to be looked at"),
                format!("{program}                 # run it yourself"),
            ];
        }
        let mut next = Vec::new();
        if let Some((call, _)) = world
            .repeatable
            .iter()
            .rev()
            .find(|(call, _)| call.what == What::Invite)
        {
            next.push(format!(
                "{program} events show --tree {}   # all that one invitation led to",
                call.request_id
            ));
        }
        next.push(format!(
            "{program} tasks list --state skipped   # what was not wanted any more, and why"
        ));
        next.push(format!(
            "{program} routes                       # what follows from what"
        ));
        next
    }

    /// Stops what was started here.
    async fn clear(self) {
        if let Some(admin) = Arc::into_inner(self.admin) {
            admin.close().await;
        }
        if let Some(served) = self.served {
            let _outcome = served.stop().await;
        }
    }
}

/// Where a process runs. `Ok(None)` when none does.
async fn running(settings: &Settings) -> Result<Option<String>, CommandError> {
    if let Some(run_file) = RunFile::read(&settings.data_dir.run_file())? {
        let url = run_file.url.clone();
        if RunningProcess::reach(run_file).await.is_ok() {
            return Ok(Some(url));
        }
    }
    let url = format!("http://{}", settings.http_addr);
    let at_address = RunFile {
        url: url.clone(),
        token: String::new().into(),
        pid: 0,
    };
    Ok(RunningProcess::reach(at_address).await.ok().map(|_| url))
}

/// Who is asked what became of things.
async fn admin_of(settings: Settings, urls: Option<&[String]>) -> Result<Admin, CommandError> {
    let is_shared = !matches!(settings.database, Database::Sqlite(_));
    match (urls, &settings.admin.token) {
        (Some(urls), Some(token)) => {
            let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build();
            Ok(Admin::Processes {
                client: client.map_err(|error| CommandError::Unexpected(error.to_string()))?,
                urls: urls.to_vec(),
                token: token.clone(),
                turn: AtomicUsize::new(0),
            })
        }
        _ if is_shared => Ok(Admin::Database(Box::new(OpenedFile::open(settings).await?))),
        _ => Ok(Admin::of_run_file(settings.data_dir.run_file())),
    }
}

fn described(settings: &Settings) -> String {
    let broker = if settings.amqp.is_some() { " and RabbitMQ" } else { "" };
    match &settings.database {
        Database::Sqlite(path) => format!("SQLite, {}", path.display()),
        Database::Postgres(postgres) => format!("PostgreSQL{broker}, {}", postgres.url),
        other => format!("{other:?}"),
    }
}

/// A number of chance.
fn drawn() -> u32 {
    let mut bytes = [0; 4];
    SystemRandomness.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// The first signal ends the requests, the second one all waiting.
async fn signals(stop: CancellationToken, at_once: [CancellationToken; 2]) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    stop.cancel();
    next().await;
    for token in at_once {
        token.cancel();
    }
}

/// Looks now and then at what waits, and for new e-mails.
async fn glance(admin: Arc<Admin>, tally: Arc<Tally>, mailbox: Arc<Mutex<Mailbox>>) {
    let mut ticks = interval(GLANCE);
    loop {
        ticks.tick().await;
        look_at(Arc::clone(&mailbox)).await;
        let waiting = admin.waiting().await;
        let mut numbers = tally.lock();
        numbers.emails = locked(&mailbox).count();
        match waiting {
            Ok(waiting) => numbers.waiting = waiting,
            Err(reason) => {
                numbers.waiting = None;
                numbers.in_trouble(&reason);
            }
        }
    }
}

async fn look_at(mailbox: Arc<Mutex<Mailbox>>) {
    // It can only fail by a panic, which the mailbox outlives.
    let _looked = tokio::task::spawn_blocking(move || locked(&mailbox).look()).await;
}

fn locked(mailbox: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}
