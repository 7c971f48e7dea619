//! The runtime in a world of its own: one seed decides what goes wrong and when.
//!
//! [`simulate`] runs the real relay, dispatcher, topic loops and rescuer of several processes over the provider in memory,
//! on one thread and in paused time. The seed draws the size of the world, its traffic, the way every call goes (lost,
//! done but its answer lost, slow, hanging, late, twice, in part) and what happens to processes (they die at any await,
//! stand still past their leases and go on, are stopped in stages, are cut off, have wrong clocks). Then everything heals,
//! the world comes to rest, and a ledger that no process can touch is compared with what came of it. In the end every dead
//! letter is replayed, and succeeds.
//!
//! A package of its own, because it needs the runtime and the testkit, of which neither may depend on the other, and
//! because nobody but this workspace has a use for it.

mod clock;
mod contracts;
mod counted;
mod customers;
mod dice;
mod fences;
mod handlers;
mod ledger;
mod link;
mod plan;
mod ports;
mod process;
mod scenario;
mod threads;
mod timeline;
mod verdict;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetterFilter, DeadLetters};
use futures::future::{join, join_all};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::customers::change_order;
use crate::process::live;
use crate::verdict::{leftovers, verdict};
use crate::world::World;

/// From the end of all trouble until everything has come to rest: longer than every lease, retry and backoff together.
const REST: Duration = Duration::from_mins(4);
/// What comes late comes within this time.
const ECHOES: Duration = Duration::from_secs(2);

/// What came of one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Over everything that happened: two runs of one seed have the same.
    pub hash: u64,
    /// How many calls and faults there were.
    pub steps: u64,
    /// Runs of handlers.
    pub runs: u64,
    /// Changes that were committed.
    pub committed: usize,
    /// Effects through the inbox.
    pub effects: usize,
    /// Everything that should not be, one line each; empty when every promise was kept.
    pub wrong: Vec<String>,
    /// What went wrong on purpose, and when.
    pub timeline: Vec<String>,
}

/// Runs the world of `seed` from its beginning to its end. The timeline has every step where `keeps_steps`, otherwise the
/// faults.
///
/// # Panics
/// When no runtime can be made.
pub fn simulate(seed: u64, keeps_steps: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    #[expect(clippy::expect_used, reason = "without a runtime there is nothing to simulate")]
    let runtime = runtime.expect("a runtime");
    runtime.block_on(run(seed, keeps_steps))
}

async fn run(seed: u64, keeps_steps: bool) -> Report {
    let world = Arc::new(World::new(seed, keeps_steps));
    let end = CancellationToken::new();
    let processes = (0..world.scenario.processes).map(|number| live(Arc::clone(&world), number, end.clone()));
    let story = async {
        let customers = (0..world.scenario.orders).map(|index| change_order(Arc::clone(&world), index));
        let trouble = async {
            sleep(world.scenario.trouble).await;
            world.heal();
        };
        join(join_all(customers), trouble).await;
        let mut wrong = at_rest(&world).await;
        if wrong.is_empty() {
            world.mend();
            replay_dead_letters(&world).await;
            wrong = at_rest(&world).await;
        }
        end.cancel();
        wrong
    };
    let (mut wrong, _) = join(story, join_all(processes)).await;
    if wrong.is_empty() {
        wrong = verdict(&world).await;
    }
    let (runs, committed, effects) = {
        let books = world.ledger.books();
        let committed = books.intents.values().filter(|intent| intent.committed.is_some());
        (books.runs, committed.count(), books.effects.len())
    };
    Report {
        seed,
        hash: world.timeline.hash(),
        steps: world.timeline.steps(),
        runs,
        committed,
        effects,
        wrong,
        timeline: std::mem::take(&mut *world.timeline.lines()),
    }
}

/// What is wrong once everything has come to rest, or should have.
async fn at_rest(world: &World) -> Vec<String> {
    let rested = timeout(REST, rest(world)).await;
    let mut wrong = verdict(world).await;
    if rested.is_err() {
        wrong.insert(0, format!("stuck: no rest within {REST:?} after the last trouble"));
    }
    wrong
}

/// An operator replays every dead letter.
async fn replay_dead_letters(world: &World) {
    let all = DeadLetterFilter {
        limit: Some(1000),
        ..DeadLetterFilter::default()
    };
    let letters = DeadLetters::list(&world.store, &all).await.unwrap_or_default();
    let ids: Vec<MessageId> = letters.iter().map(|letter| letter.id).collect();
    let replayed = world.store.replay(&ids, "simulation").await;
    if replayed.map_or(0, |replayed| replayed.len()) != ids.len() {
        world.ledger.must_not("a dead letter cannot be replayed".into());
    }
}

/// Returns once everything is over, and stays so.
async fn rest(world: &World) {
    loop {
        sleep(Duration::from_millis(500)).await;
        if !is_at_rest(world).await {
            continue;
        }
        sleep(ECHOES).await;
        if is_at_rest(world).await {
            return;
        }
    }
}

async fn is_at_rest(world: &World) -> bool {
    let living = world.living();
    world.on_the_way.load(Ordering::Relaxed) == 0
        && world.running.load(Ordering::Relaxed) == 0
        && living.len() == world.scenario.processes
        && living.iter().all(|process| process.is_well())
        && leftovers(&world.store).await.is_empty()
}
