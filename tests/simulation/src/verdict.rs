//! Whether what was decided and what came of it are the same.

use std::collections::BTreeMap;

use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetters, TaskDetails, TaskInspector, TaskState};
use aftercommit_testkit::InMemory;

use crate::contracts::{Change, Work};
use crate::ledger::{Answer, Books, Intent};
use crate::plan::Fate;
use crate::world::World;

/// Everything that should not be, one line each.
pub(crate) async fn verdict(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let books = world.ledger.books().clone();
    wrong.extend(books.seen.iter().cloned());
    wrong.extend(leftovers(&world.store).await);
    wrong.extend(out_of_order(&books));
    let effects = counted(&books);
    for (work, change) in effects.keys().chain(books.outside.keys()) {
        let is_known = books.intents.get(change).is_some_and(|intent| {
            intent.committed.is_some() && intent.answer != Answer::RolledBack && intent.plan(*work).is_some()
        });
        if !is_known {
            wrong.push(format!("ghost: {work:?} of {change:?}, which nobody committed"));
        }
    }
    for (key, ids) in &books.ids {
        if ids.len() > 1 {
            wrong.push(format!("ids: {:?} of {:?} came under {} ids", key.0, key.1, ids.len()));
        }
    }
    for (change, intent) in &books.intents {
        wrong.extend(of_change(world, &books, &effects, *change, intent).await);
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

/// What is wrong with a change and what followed from it.
async fn of_change(
    world: &World,
    books: &Books,
    effects: &BTreeMap<(Work, Change), usize>,
    change: Change,
    intent: &Intent,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(event) = intent.committed else {
        if intent.answer == Answer::Committed {
            wrong.push(format!("lost: {change:?} was told to be committed"));
        }
        return wrong;
    };
    if intent.answer == Answer::RolledBack {
        wrong.push(format!("ghost: {change:?} was told to be rolled back"));
    }
    if EventLog::find(&world.store, event).await.ok().flatten().is_none() {
        wrong.push(format!("lost: the event of {change:?} is not in the log"));
    }
    for work in Work::ALL {
        let Some(plan) = intent.plan(work) else { continue };
        let recorded = effects.contains_key(&(Work::Record, change));
        if work == Work::Note && !recorded {
            // Nothing was recorded, so that there is nothing to note.
            continue;
        }
        let effects = effects.get(&(work, change)).copied().unwrap_or(0);
        let outside = books.outside.get(&(work, change)).copied().unwrap_or(0);
        let id = books.ids.get(&(work, change)).and_then(|ids| ids.first().copied());
        let state = match id {
            Some(id) => state(&world.store, id).await,
            None => None,
        };
        let gave_up = match id {
            Some(id) => timed_out(&world.store, id).await,
            None => false,
        };
        let what = || format!("{work:?} of {change:?} ({plan:?}): {effects} effects, {outside} outside, {state:?}");
        if effects > 1 {
            wrong.push(format!("twice: {}", what()));
        }
        let fate = match plan.fate() {
            // It was replayed once it could succeed.
            Fate::Dead if world.is_mended() => Fate::Done,
            fate => fate,
        };
        let is_right = match fate {
            _ if gave_up => effects <= 1,
            Fate::Done => effects == 1 && outside >= 1 && state == Some(TaskState::Completed),
            Fate::Skipped => effects == 0 && state == Some(TaskState::Skipped),
            Fate::Dead => effects == 0 && state == Some(TaskState::Dead),
        };
        if !is_right && effects <= 1 {
            let word = if effects == 0 && fate == Fate::Done {
                "lost"
            } else {
                "unaccounted"
            };
            wrong.push(format!("{word}: {}", what()));
        }
    }
    wrong
}

fn counted(books: &Books) -> BTreeMap<(Work, Change), usize> {
    let mut counted = BTreeMap::new();
    for effect in &books.effects {
        *counted.entry(*effect).or_default() += 1;
    }
    counted
}

/// Effects that came after a later one of the same order.
fn out_of_order(books: &Books) -> Vec<String> {
    let mut last: BTreeMap<(Work, i64, u32), u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    let in_order = books.effects.iter().take(books.in_order.unwrap_or(usize::MAX));
    for (work, change) in in_order.filter(|(work, _)| work.keeps_order()) {
        let last = last.entry((*work, change.organization, change.order)).or_default();
        if change.number < *last {
            wrong.push(format!("order: {work:?} of {change:?} after that of number {last}"));
        }
        *last = change.number.max(*last);
    }
    wrong
}

/// What is left in the stores although everything should be over.
pub(crate) async fn leftovers(store: &InMemory) -> Vec<String> {
    let mut left = Vec::new();
    match store.stats().await {
        Ok(stats) if stats.waiting + stats.claimed + stats.quarantined > 0 => left.push(format!(
            "stuck: the outbox has {} waiting, {} claimed, {} quarantined rows",
            stats.waiting, stats.claimed, stats.quarantined
        )),
        Ok(_) => {}
        Err(error) => left.push(format!("stuck: {error}")),
    }
    match store.depths().await {
        Ok(depths) => left.extend(depths.iter().map(|depth| {
            format!(
                "stuck: {} has {} available, {} scheduled, {} running tasks",
                depth.topic, depth.available, depth.scheduled, depth.running
            )
        })),
        Err(error) => left.push(format!("stuck: {error}")),
    }
    left
}

async fn state(store: &InMemory, id: MessageId) -> Option<TaskState> {
    let details: Option<TaskDetails> = TaskInspector::find(store, id).await.ok().flatten();
    details.map(|details| details.summary.state)
}

/// Whether it was given up because slow calls took all of its attempts' time, which the faults of a world can do.
async fn timed_out(store: &InMemory, id: MessageId) -> bool {
    let letter = DeadLetters::find(store, id).await.ok().flatten();
    letter.is_some_and(|letter| letter.failure.code == "handler.timed_out")
}
