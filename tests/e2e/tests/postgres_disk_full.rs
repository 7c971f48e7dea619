//! The disk with the write-ahead log is full: the server goes down, nobody else does, and nothing is lost.
//!
//! The log is on a small file system of its own in memory, which only root can mount. `cargo xtask soak` runs this and
//! says so when it cannot.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables};
use aftercommit_e2e::{PATIENCE, eventually};
use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};

const LEASE: Duration = Duration::from_secs(3);
const MEMBERS: [&str; 3] = ["relay", "worker-1", "worker-2"];
/// How long the server stays down.
const DOWN: Duration = Duration::from_secs(5);
/// How long after the server is back its clients work again.
const RECOVERY: Duration = Duration::from_secs(20);
/// How much of a core a process may use while there is no server.
const BUSY: f64 = 0.2;

/// A file system of a fixed size, until it is dropped.
struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    fn mount(place: &Path, megabytes: u32) -> Self {
        fs::create_dir_all(place).unwrap();
        run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"],
            place,
        );
        Self {
            place: place.to_owned(),
        }
    }

    fn grow(&self, megabytes: u32) {
        run("mount", &["-o", &format!("remount,size={megabytes}m")], &self.place);
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.place.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while the server still has files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}

fn run(program: &str, arguments: &[&str], place: &Path) {
    let status = Command::new(program).args(arguments).arg(place).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}; it needs root");
}

/// How many seconds of a core a process has used.
fn used(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name, which may hold anything.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a small file system; cargo xtask soak runs it"]
async fn a_full_disk_ends_no_process_but_the_server_and_loses_nothing() {
    let options = PostgresOptions::default()
        .setting("max_wal_size", "64MB")
        .setting("min_wal_size", "32MB");
    let server = PostgresServer::start(options).await;
    let database = server.database(None).await;
    create_tables(&database.url(), 32).await;
    // The log moves to a disk of its own.
    server.stop().await;
    let log = server.directory().unwrap().join("data/pg_wal");
    let place = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(place.path(), 100);
    let moved = place.path().join("wal");
    run("cp", &["-a", log.to_str().unwrap()], &moved);
    fs::remove_dir_all(&log).unwrap();
    std::os::unix::fs::symlink(&moved, &log).unwrap();
    run("chmod", &["0755"], place.path());
    server.restart().await;

    let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE);
    for name in MEMBERS {
        let loops = if name == "relay" { Loops::Relay } else { Loops::Handlers };
        fleet.add(name, loops);
    }
    fleet.ready().await;
    for producer in 0..4 {
        let production = Production {
            events: 200,
            aggregates: 32,
            seed: producer,
            rest: Duration::from_millis(50),
            own_pool: producer % 2 == 1,
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }
    eventually("some events are committed", PATIENCE, async || {
        (fleet.answered() > 100).then_some(())
    })
    .await;
    disk.fill();
    // The log's files are used again and again, so it takes new ones until there is no room for the next.
    let pid = server.process_id();
    let url = database.superuser_url();
    eventually("the server gave up", PATIENCE, async || {
        if let Ok(mut connection) = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await {
            let _ = sqlx::query("SELECT pg_switch_wal(), pg_logical_emit_message(false, '', repeat('x', 1000000))")
                .execute(&mut connection)
                .await;
        }
        server.log().contains("No space left on device").then_some(())
    })
    .await;
    println!("the server (process {pid:?}) said: no space left on device");
    let before: Vec<f64> = MEMBERS.iter().map(|name| used(fleet.pid(name).unwrap())).collect();
    let (down, committed) = (Instant::now(), fleet.answered());
    tokio::time::sleep(DOWN).await;
    fleet.tend();
    println!(
        "{} events committed while the disk was full",
        fleet.answered() - committed
    );
    for (name, before) in MEMBERS.iter().zip(before) {
        let share = (used(fleet.pid(name).unwrap()) - before) / down.elapsed().as_secs_f64();
        println!("{name} used {share:.3} of a core meanwhile");
        assert!(
            share < BUSY,
            "{name} used {share:.2} of a core while there was no server"
        );
    }
    fs::remove_file(place.path().join("filler")).unwrap();
    disk.grow(400);
    server.restart().await;
    let back = Instant::now();
    let before = fleet.answered();
    eventually("events are committed again", RECOVERY, async || {
        fleet.tend();
        (fleet.answered() > before).then_some(())
    })
    .await;
    println!("first commit {:.2?} after the server was back", back.elapsed());
    let verdict = fleet.drained(&database.superuser_url(), PATIENCE * 4).await;
    println!("disk full: {verdict}");
    verdict.assert_clean();
    fleet.stop().await;
    server.stop().await;
}
