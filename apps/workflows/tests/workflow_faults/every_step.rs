//! A worker that is killed, or stopped and let go on, at every step of an export, each time at another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aftercommit::failpoints::all;
use aftercommit_domain::reference::ExportId;
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use rustix::process::Signal;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::program::{Program, eventually, number};
use crate::site::Site;

/// How many exports are made at a time. Most of each is waiting until a worker is missed.
const AT_ONCE: usize = 16;
/// How long after an export its worker may still come to a point.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// How often an export passes each point.
type Passings = BTreeMap<String, u32>;

/// What happens to the worker at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is killed, and another one goes on.
    Kill,
    /// It is stopped until another one has ended the export, and goes on with what it had begun.
    Stop,
    /// The same, and somebody does not want the export any more.
    StopAndCancel,
}

/// As a process says that makes an export undisturbed.
async fn passings(site: &mut Site) -> Passings {
    let tell: Vec<String> = all().iter().map(|point| format!("{}=tell", point.name)).collect();
    let mut program = site.workflows("undisturbed", Some(&tell.join(";")));
    let id = site.export_on("undisturbed").await;
    site.ends(id).await;
    // The last thing it does is to forget the run.
    eventually("the worker has forgotten the export", async || {
        program.log().contains("failpoint workflow::after_end").then_some(())
    })
    .await;
    assert!(program.is_running());
    let content = site.file(&site.export(id).await).await;
    site.content_is(content);
    site.is_whole(id).await;
    let mut passings = Passings::new();
    for line in program.log().lines() {
        let told = line
            .strip_prefix("failpoint ")
            .and_then(|rest| rest.split_once(": Tell"));
        if let Some((point, _)) = told {
            *passings.entry(point.to_owned()).or_default() += 1;
            // Whoever asks later how it ended has it replayed.
            if point == "workflow::after_end" {
                break;
            }
        }
    }
    passings
}

/// Whether the worker comes to the point before it has long ended the export.
async fn comes_to(site: &Site, victim: &Program, id: ExportId, told: &str) -> bool {
    let mut ended = None;
    eventually(told, async || {
        if victim.log().contains(told) {
            return Some(true);
        }
        if site.export(id).await.state.is_final() {
            ended.get_or_insert_with(Instant::now);
        }
        ended.is_some_and(|since| since.elapsed() > AFTERWARDS).then_some(false)
    })
    .await
}

/// One export whose worker meets the fault when it passes this point for the `nth` time. Whether it did: a run that was
/// counted may have been replayed, and then another one passes less.
async fn trial(site: &Site, fault: Fault, point: &str, nth: u32, round: u64) -> bool {
    let queue = format!("{fault:?}-{point}-{nth}-{round}");
    let word = if fault == Fault::Kill { "kill" } else { "stop" };
    let mut victim = site.workflows(&queue, Some(&format!("{point}={word}@{nth}")));
    let id = site.export_on(&queue).await;
    let began = Instant::now();
    let told = format!("failpoint {point}: ");
    if !comes_to(site, &victim, id, &told).await {
        println!("{queue}: not passed");
        // Should it come there after all.
        let _next = site.workflows(&queue, None);
        site.ends(id).await;
        site.is_whole(id).await;
        return false;
    }
    if fault == Fault::Kill {
        victim.is_killed().await;
    }
    if fault == Fault::StopAndCancel {
        site.cancel(id, &queue).await;
    }
    let next = site.workflows(&queue, None);
    site.ends(id).await;
    if fault != Fault::Kill {
        // What it had begun ends before it stops in order.
        victim.signal(Signal::CONT);
        victim.signal(Signal::TERM);
        victim.has_stopped().await;
    }
    if fault == Fault::StopAndCancel {
        site.is_whole_or_nothing(id).await;
    } else {
        site.is_whole(id).await;
    }
    drop(next);
    println!("{queue}: over after {:.1?}", began.elapsed());
    true
}

/// One trial at each step, `rounds` times; but only at every `step`th one.
async fn at_every_step(fault: Fault, rounds: u64, step: usize) {
    let began = Instant::now();
    let temporal = TemporalServer::start(TemporalOptions::default().durable()).await;
    let mut site = Site::start(temporal).await;
    let passings = passings(&mut site).await;
    println!("an export passes {passings:?}");
    let (site, at_once) = (Arc::new(site), Arc::new(Semaphore::new(AT_ONCE)));
    let steps = passings
        .iter()
        .flat_map(|(point, times)| (1..=*times).map(move |nth| (point.clone(), nth)));
    let steps: Vec<(String, u32)> = steps.step_by(step).collect();
    let mut trials = JoinSet::new();
    let local = LocalSet::new();
    for round in 0..rounds {
        for (point, nth) in steps.clone() {
            let (site, at_once) = (Arc::clone(&site), Arc::clone(&at_once));
            let trial = async move {
                let _turn = at_once.acquire().await.unwrap();
                trial(&site, fault, &point, nth, round).await
            };
            trials.spawn_local_on(trial, &local);
        }
    }
    let (count, mut met) = (trials.len(), 0);
    local
        .run_until(async {
            while let Some(trial) = trials.join_next().await {
                met += usize::from(trial.unwrap());
            }
        })
        .await;
    assert!(met * 10 >= count * 9, "{met} of {count}");
    site.nothing_is_left_over().await;
    println!(
        "{fault:?}: {met} exports, at {} steps {rounds} times each, in {:.0?}: each ended once and whole",
        steps.len(),
        began.elapsed()
    );
}

/// How often at each step.
fn rounds() -> u64 {
    number("AFTERCOMMIT_E2E_WORKFLOW_FAULTS", 1)
}

/// A short run stops at some steps only, because what a stopped worker was given comes to another after its timeouts.
fn some_steps() -> usize {
    if rounds() > 1 { 1 } else { 8 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_whose_worker_is_killed_at_any_step_ends_once_and_whole() {
    at_every_step(Fault::Kill, rounds(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_at_any_step_and_goes_on_when_another_has_ended_its_export_changes_nothing() {
    at_every_step(Fault::Stop, 1, some_steps()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_at_any_step_and_goes_on_when_its_export_was_cancelled_leaves_nothing() {
    at_every_step(Fault::StopAndCancel, 1, some_steps()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_at_every_step_when_temporal_is_killed_end_once_and_whole_when_it_is_back() {
    let began = Instant::now();
    let temporal = TemporalServer::start(TemporalOptions::default().durable()).await;
    let mut site = Site::start(temporal).await;
    let passings = passings(&mut site).await;
    let (mut kills, mut steps) = (0, 0);
    for round in 0..rounds() {
        let mut open = Vec::new();
        // Nobody holds a lock of the database meanwhile.
        let of_workers = passings
            .iter()
            .filter(|(point, _)| !point.starts_with("unit_of_work::"));
        for (point, times) in of_workers {
            let nth = 1 + u32::try_from(round).unwrap() % times;
            let queue = format!("{point}-{nth}-{round}");
            let worker = site.workflows(&queue, Some(&format!("{point}=stop@{nth}")));
            open.push((site.export_on(&queue).await, worker, format!("failpoint {point}: ")));
        }
        for (_, worker, told) in &open {
            eventually(told, async || worker.log().contains(told).then_some(())).await;
        }
        site.temporal.kill().await;
        (kills, steps) = (kills + 1, open.len());
        site.temporal.start_again().await;
        for (_, worker, _) in &open {
            worker.signal(Signal::CONT);
        }
        for (id, _, _) in &open {
            site.ends(*id).await;
            site.is_whole(*id).await;
        }
    }
    site.nothing_is_left_over().await;
    println!(
        "Temporal killed {kills} times with {steps} exports at a step each, in {:.0?}: each ended once and whole",
        began.elapsed()
    );
}
