//! Worlds of many seeds keep every promise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aftercommit_simulation::{Report, simulate};

/// A number from the environment, or what a plain `cargo test` takes.
#[expect(clippy::disallowed_methods, reason = "this is how a person asks for more seeds")]
fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => otherwise,
    }
}

/// After so many failed seeds the rest would say nothing new.
const ENOUGH: usize = 25;
/// A world takes milliseconds; one that takes this long never ends.
const HANGS: Duration = Duration::from_mins(2);

/// The worlds of `count` seeds from `first`, on all cores. Answers those in which something was wrong.
fn simulate_all(first: u64, count: u64) -> Vec<Report> {
    let next = AtomicU64::new(first);
    let run = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let (steps, runs, effects) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let (at_work, watched) = mpsc::channel();
    let under_way: Vec<UnderWay> = (0..cores).map(|_| UnderWay::default()).collect();
    thread::scope(|scope| {
        for under_way in &under_way {
            let at_work = at_work.clone();
            let (next, run, failed, steps, runs, effects) = (&next, &run, &failed, &steps, &runs, &effects);
            scope.spawn(move || {
                // Its end tells the watch that this thread is done.
                let _at_work: mpsc::Sender<()> = at_work;
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_enough = failed.lock().unwrap_or_else(PoisonError::into_inner).len() >= ENOUGH;
                    if seed >= first + count || is_enough {
                        return;
                    }
                    under_way.begins(seed);
                    let report = simulate(seed, false);
                    under_way.ends();
                    run.fetch_add(1, Ordering::Relaxed);
                    steps.fetch_add(report.steps, Ordering::Relaxed);
                    runs.fetch_add(report.runs, Ordering::Relaxed);
                    effects.fetch_add(report.effects as u64, Ordering::Relaxed);
                    if !report.wrong.is_empty() {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                    }
                }
            });
        }
        drop(at_work);
        while watched.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            if let Some(seed) = under_way.iter().find_map(UnderWay::hangs) {
                // A world that turns without an end stops nobody else's clock, and cannot be stopped from here.
                println!("seed {seed} is not over after {HANGS:?}: its world turns without an end");
                std::process::abort();
            }
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|report| report.seed);
    println!(
        "{} seeds from {first}: {} calls and faults, {} runs, {} effects, {} failed, {:.1} s",
        run.into_inner(),
        steps.into_inner(),
        runs.into_inner(),
        effects.into_inner(),
        failed.len(),
        started.elapsed().as_secs_f64()
    );
    failed
}

/// The seed a thread is at, and since when.
#[derive(Default)]
struct UnderWay(Mutex<Option<(u64, Instant)>>);

impl UnderWay {
    fn begins(&self, seed: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, Instant::now()));
    }

    fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn hangs(&self) -> Option<u64> {
        let under_way = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way
            .filter(|(_, since)| since.elapsed() > HANGS)
            .map(|(seed, _)| seed)
    }
}

fn tell(report: &Report) {
    println!("\nseed {} failed:", report.seed);
    println!("  timeline:");
    // The same world once more, which tells more of itself.
    let timeline = match number("AFTERCOMMIT_SIM_STEPS", 0) {
        0 => report.timeline.clone(),
        _ => simulate(report.seed, true).timeline,
    };
    for line in &timeline {
        println!("    {line}");
    }
    println!("  what is wrong:");
    for line in &report.wrong {
        println!("    {line}");
    }
    println!(
        "  again: AFTERCOMMIT_SIM_SEED={} AFTERCOMMIT_SIM_SEEDS=1 cargo test -p aftercommit-simulation -- --nocapture",
        report.seed
    );
}

#[test]
fn whatever_goes_wrong_every_promise_is_kept() {
    let first = number("AFTERCOMMIT_SIM_SEED", 1);
    let count = number("AFTERCOMMIT_SIM_SEEDS", 200);
    let failed = simulate_all(first, count);
    failed.iter().take(3).for_each(tell);
    let seeds: Vec<u64> = failed.iter().map(|report| report.seed).collect();
    assert!(seeds.is_empty(), "{} seeds failed: {seeds:?}", seeds.len());
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    let first = number("AFTERCOMMIT_SIM_SEED", 1);
    let count = number("AFTERCOMMIT_SIM_SEEDS", 200).div_ceil(4).min(1000);
    for seed in first..first + count {
        assert_eq!(simulate(seed, false), simulate(seed, false), "seed {seed}");
    }
}
