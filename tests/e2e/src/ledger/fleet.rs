//! All processes of one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::eventually;
use crate::ledger::member::{Loops, Member};
use crate::ledger::{Books, Verdict};

/// How long a stop may take: the grace of the processes, and some more.
const STOP: Duration = Duration::from_secs(20);
/// How much of a log a failed test shows.
const LAST_LINES: usize = 25;

/// All processes of one test, on one database. They are ended when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    program: PathBuf,
    place: TempDir,
    variables: Vec<(String, String)>,
    members: Vec<Member>,
    lease: Duration,
}

/// What one producer does.
#[derive(Debug, Clone, Copy)]
pub struct Production {
    /// How many events it commits.
    pub events: u64,
    /// Over how many aggregates.
    pub aggregates: u32,
    /// Decides which, and how long it rests.
    pub seed: u64,
    /// The longest rest between two events.
    pub rest: Duration,
    /// Through a pool of the application's own instead of the kit's transactions.
    pub own_pool: bool,
}

impl Fleet {
    /// No process yet. `program` is `env!("CARGO_BIN_EXE_ledger-app")`; `lease` is how long relays and workers keep what
    /// they took.
    pub fn new(program: &str, database_url: &str, lease: Duration) -> Self {
        let place = tempfile::tempdir().unwrap();
        for folder in ["logs", "ledgers"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        let fleet = Self {
            program: program.into(),
            place,
            variables: Vec::new(),
            members: Vec::new(),
            lease,
        };
        fleet
            .set("DATABASE_URL", database_url)
            .set("AFTERCOMMIT_LOG__FILTER", "warn,sqlx_core=error")
            .set("AFTERCOMMIT_POSTGRES__ACQUIRE_TIMEOUT", "2s")
    }

    /// Sets a variable for processes that are added from now on.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Processes that are added from now on are of another build.
    #[must_use]
    pub fn of_build(mut self, program: &str) -> Self {
        self.program = program.into();
        self
    }

    /// A process that runs until it is told to stop.
    pub fn add(&mut self, name: &str, loops: Loops) {
        let lease = self.lease.as_millis().to_string();
        let arguments = ["work", "--name", name, "--lease", &lease];
        let arguments = arguments.iter().chain(loops.arguments()).map(|&word| word.to_owned());
        self.push(name, arguments.collect(), false);
    }

    /// A process that runs handlers which take this long.
    pub fn add_slow(&mut self, name: &str, loops: Loops, takes: Duration) {
        let (lease, takes) = (self.lease.as_millis().to_string(), takes.as_millis().to_string());
        let arguments = ["work", "--name", name, "--lease", &lease, "--takes", &takes];
        let arguments = arguments.iter().chain(loops.arguments()).map(|&word| word.to_owned());
        self.push(name, arguments.collect(), false);
    }

    /// A process that commits events and ends.
    pub fn add_producer(&mut self, name: &str, production: Production) {
        let mut arguments = vec!["produce".to_owned()];
        for (option, value) in [
            ("--ledger", self.ledgers().join(name).to_str().unwrap().to_owned()),
            ("--events", production.events.to_string()),
            ("--aggregates", production.aggregates.to_string()),
            ("--seed", production.seed.to_string()),
            ("--rest", production.rest.as_millis().to_string()),
        ] {
            arguments.extend([option.to_owned(), value]);
        }
        if production.own_pool {
            arguments.push("--own-pool".to_owned());
        }
        self.push(name, arguments, true);
    }

    fn push(&mut self, name: &str, arguments: Vec<String>, is_finite: bool) {
        let logs = self.place.path().join("logs");
        let program = self.program.clone();
        let member = Member::new(name, program, arguments, self.variables.clone(), is_finite, &logs);
        self.members.push(member);
        self.tend();
    }

    /// Starts again what was killed or found no server.
    ///
    /// # Panics
    /// A process ended by itself while it worked.
    pub fn tend(&mut self) {
        let place = self.place.path();
        for member in &mut self.members {
            let data = place.join("data").join(&member.name);
            let program = member.program.clone();
            member.tend(|| command(&program, &data));
        }
    }

    /// Waits until every process has opened the database, or has done all it had to do.
    pub async fn ready(&mut self) {
        eventually("all processes are ready", Duration::from_mins(1), async || {
            self.tend();
            self.members.iter().all(Member::is_ready).then_some(())
        })
        .await;
    }

    /// Kills a process with SIGKILL; the next one starts after `pause`.
    pub fn kill9(&mut self, name: &str, pause: Duration) {
        self.member(name).kill9(Instant::now() + pause);
    }

    /// Ends a process with SIGTERM, and starts the next one when it has ended. Answers how long it took.
    ///
    /// # Panics
    /// It does not end in time, or not well.
    pub async fn restart(&mut self, name: &str) -> Duration {
        let started = Instant::now();
        self.member(name).signal(Signal::TERM);
        let what = format!("{name} has ended");
        let member = self.member(name);
        let is_well = eventually(&what, STOP, async || member.try_ended()).await;
        assert!(is_well, "{name} did not end well:\n{}", self.log(name));
        self.tend();
        started.elapsed()
    }

    /// Stops a process where it stands.
    pub fn pause(&mut self, name: &str) {
        self.member(name).signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&mut self, name: &str) {
        self.member(name).signal(Signal::CONT);
    }

    /// The id of a process, while there is one.
    pub fn pid(&mut self, name: &str) -> Option<u32> {
        self.member(name).pid()
    }

    /// How much memory a process has, in KiB.
    pub fn resident(&mut self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid(name).unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many files and connections a process has open.
    pub fn open_files(&mut self, name: &str) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid(name).unwrap()))
            .unwrap()
            .count()
    }

    /// Waits until all producers have ended and nothing is left to do, and compares.
    ///
    /// # Panics
    /// A producer has not ended within `patience`.
    pub async fn drained(&mut self, superuser_url: &str, patience: Duration) -> Verdict {
        eventually("the producers have ended", patience, async || {
            self.tend();
            self.produced().then_some(())
        })
        .await;
        self.verdict(superuser_url, patience).await
    }

    /// How many events the producers know to be committed.
    pub fn answered(&self) -> u64 {
        self.books().committed.len() as u64
    }

    /// Whether all producers have ended.
    pub fn produced(&self) -> bool {
        self.members
            .iter()
            .filter(|member| member.name.starts_with("producer"))
            .all(|member| member.is_finished)
    }

    /// How often a process found no server when it started.
    pub fn refused_starts(&self) -> u32 {
        self.members.iter().map(|member| member.refused_starts).sum()
    }

    /// What the producers noted.
    pub fn books(&self) -> Books {
        Books::read(&self.ledgers())
    }

    /// Compares the books with the database, and waits until nothing is left to do in it, at most for `patience`.
    pub async fn verdict(&mut self, superuser_url: &str, patience: Duration) -> Verdict {
        let deadline = Instant::now() + patience;
        loop {
            self.tend();
            let verdict = Verdict::of(&self.books(), superuser_url).await;
            if verdict.is_drained() || Instant::now() > deadline {
                return verdict;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends all processes with SIGTERM.
    ///
    /// # Panics
    /// One does not end, or not well.
    pub async fn stop(&mut self) {
        for member in &self.members {
            member.signal(Signal::TERM);
        }
        for member in &mut self.members {
            let what = format!("{} has ended", member.name);
            let is_well = eventually(&what, STOP, async || member.try_ended()).await;
            assert!(is_well, "{} did not end well:\n{}", member.name, member.log());
        }
    }

    /// Everything a process has logged.
    pub fn log(&mut self, name: &str) -> String {
        self.member(name).log()
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.members.iter_mut().find(|member| member.name == name).unwrap()
    }

    fn ledgers(&self) -> PathBuf {
        self.place.path().join("ledgers")
    }
}

fn command(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AFTERCOMMIT_DATA_DIR", data)
        // What measures the coverage of tests by this name.
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .current_dir(data.parent().and_then(Path::parent).unwrap());
    command
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for member in &self.members {
                let log = member.log();
                let lines: Vec<&str> = log.lines().collect();
                let from = lines.len().saturating_sub(LAST_LINES);
                eprintln!("the end of {}'s log:\n{}", member.name, lines[from..].join("\n"));
            }
        }
    }
}
