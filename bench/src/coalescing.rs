//! How fast publishes are confirmed that become fewer tasks, beside those that do not, in turns on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aftercommit::domain::contract::TaskEnvelope;
use aftercommit::domain::tasks::Coalescing;
use aftercommit::prelude::*;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::Options;
use crate::contracts::Noop;
use crate::report::{fsync_p50_ms, per_second};
use crate::rig::{BoxError, Rig};

/// Rounds, in turns; the median counts.
const ROUNDS: usize = 3;
/// Keys of the publishes that are not all of one.
const KEYS: usize = 1000;
/// Longer than the workload takes, so that nothing becomes due meanwhile.
const QUIET: Duration = Duration::from_hours(1);
/// How the publishes come: so many calls at once, of so many tasks.
const SINGLE: (usize, usize) = (16, 1);
const BATCHED: (usize, usize) = (4, 125);

/// What is published.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    ManyKeys,
    HotKey,
}

impl Kind {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Plain, "plain"),
        (Self::ManyKeys, "keys_1000"),
        (Self::HotKey, "hot_key"),
    ];

    fn options(self, round: usize, number: usize) -> TaskOptions {
        let key = match self {
            Self::Plain => return TaskOptions::default(),
            Self::ManyKeys => format!("{round}-{}", number % KEYS),
            Self::HotKey => format!("{round}-hot"),
        };
        TaskOptions::coalesced(Coalescing::debounce(key, QUIET, None))
    }
}

/// N publishes of each kind, one by one and by the hundred.
pub(crate) async fn coalesce(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let mut figures: Map<String, Value> = Map::new();
    let mut measured: Vec<(String, Vec<f64>)> = Vec::new();
    for round in 0..ROUNDS {
        for (way, how) in [("single", SINGLE), ("batched", BATCHED)] {
            for (kind, name) in Kind::ALL {
                // One by one is slower, and says as much of fewer.
                let n = if how.1 == 1 { options.n / 4 } else { options.n };
                let rate = publish(&rig, kind, round, n.max(how.0), how).await?;
                let name = format!("{way}_{name}_per_s");
                match measured.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, rates)) => rates.push(rate),
                    None => measured.push((name, vec![rate])),
                }
            }
        }
    }
    for (name, mut rates) in measured {
        rates.sort_by(f64::total_cmp);
        figures.insert(name, json!(rates.get(ROUNDS / 2)));
    }
    let line = json!({
        "system": "aftercommit", "workload": "coalesce", "provider": options.provider.name(), "n": options.n,
        "rounds": ROUNDS, "figures": figures,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    rig.close().await;
    Ok(line.to_string())
}

async fn publish(
    rig: &Rig,
    kind: Kind,
    round: usize,
    n: usize,
    (callers, at_once): (usize, usize),
) -> Result<f64, BoxError> {
    let envelopes = rig.kit.envelopes();
    let mut tasks: Vec<TaskEnvelope> = Vec::with_capacity(n);
    for number in 0..n {
        let (task, options) = (Noop::number(number as u64), kind.options(round, number));
        tasks.push(envelopes.task(envelopes.new_id(), &task, &options, &Cause::root())?);
    }
    let calls: Arc<Vec<Vec<TaskEnvelope>>> = Arc::new(tasks.chunks(at_once).map(<[TaskEnvelope]>::to_vec).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut publishing = JoinSet::new();
    for _ in 0..callers {
        let (queue, calls, next) = (rig.kit.queue_publisher(), Arc::clone(&calls), Arc::clone(&next));
        publishing.spawn(async move {
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                for result in queue.publish(call.clone()).await {
                    result?;
                }
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(result) = publishing.join_next().await {
        result??;
    }
    Ok(per_second(n, started.elapsed()))
}
