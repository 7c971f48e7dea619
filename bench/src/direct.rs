//! How fast a queue confirms what is published to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use aftercommit::domain::contract::TaskEnvelope;
use aftercommit::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Options;
use crate::contracts::Noop;
use crate::report::{fsync_p50_ms, per_second};
use crate::rig::{BoxError, Rig};

/// The messages of one call.
const AT_ONCE: usize = 125;
/// Calls at the same time: together the window of the raw limit, 500 messages.
const CALLS: usize = 4;

/// N tasks, none answered before the queue has it durably.
pub(crate) async fn direct(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let envelopes = rig.kit.envelopes();
    let mut tasks = Vec::with_capacity(options.n);
    for number in 0..options.n {
        let task = Noop::number(number as u64);
        tasks.push(envelopes.task(envelopes.new_id(), &task, &TaskOptions::default(), &Cause::root())?);
    }
    let bytes = tasks.first().map_or(0, |task| task.encode().len());
    let calls: Arc<Vec<Vec<TaskEnvelope>>> = Arc::new(tasks.chunks(AT_ONCE).map(<[TaskEnvelope]>::to_vec).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLS {
        let (queue, calls, next) = (rig.kit.queue_publisher(), Arc::clone(&calls), Arc::clone(&next));
        callers.spawn(async move {
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                for result in queue.publish(call.clone()).await {
                    result?;
                }
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(result) = callers.join_next().await {
        result??;
    }
    let elapsed = started.elapsed();
    let line = json!({
        "system": "aftercommit", "workload": "direct", "provider": options.provider.name(), "n": options.n, "bytes": bytes,
        "window": AT_ONCE * CALLS, "direct_per_s": per_second(options.n, elapsed),
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    rig.close().await;
    Ok(line.to_string())
}
