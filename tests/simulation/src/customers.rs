//! Who changes orders: one after another for each order, through whatever process answers.

use std::sync::Arc;

use aftercommit_domain::contract::Cause;
use aftercommit_domain::events::{OutboxWriterExt, WriteError};
use aftercommit_domain::tasks::TaskOptions;
use aftercommit_domain::unit_of_work::CommitError;
use futures::channel::oneshot;
use tokio::time::sleep;

use crate::contracts::{Change, OrderChanged, RunJob};
use crate::dice::Dice;
use crate::ledger::{Answer, Intent};
use crate::plan::Plan;
use crate::ports::{Ports, Transaction};
use crate::world::World;

/// Changes one order again and again.
pub(crate) async fn change_order(world: Arc<World>, index: u32) {
    let dice = Dice::new(world.dice.draw());
    let mut number = 0;
    while number < world.scenario.changes {
        sleep(dice.millis(1, 6000)).await;
        let Some(process) = world.any_process(&dice) else {
            continue;
        };
        let plan = || Plan::of(&dice, world.scenario.troubled_tasks);
        // Several changes of one order may be one transaction.
        let together = u32::try_from(dice.pick(&[1, 1, 1, 2, 3]).unwrap_or(1)).unwrap_or(1);
        let last = (number + together).min(world.scenario.changes);
        let changes: Vec<(Change, Intent)> = (number + 1..=last)
            .map(|number| {
                let change = Change {
                    organization: i64::from(index % 2),
                    order: index / 2,
                    number,
                };
                let intent = Intent {
                    record: plan(),
                    mail: plan(),
                    job: dice.happens(500).then(plan),
                    note: dice.happens(500).then(plan),
                    answer: Answer::Unknown,
                    committed: None,
                };
                (change, intent)
            })
            .collect();
        number = last;
        let takes_it_back = dice.happens(150);
        let (tell, told) = oneshot::channel();
        let ports = process.ports.clone();
        let asked = changes.clone();
        process.run(async move {
            let answer = request(&ports, &asked, takes_it_back).await;
            // Whoever asked waits for as long as this runs.
            let _ = tell.send(answer);
        });
        drop(process);
        // The next change of this order begins only when it is known that this one is over: writers take turns.
        let answer = told.await.unwrap_or(Answer::Unknown);
        let mut books = world.ledger.books();
        for (change, _) in &changes {
            if let Some(intent) = books.intents.get_mut(change) {
                intent.answer = answer;
            }
        }
    }
}

async fn request(ports: &Ports, changes: &[(Change, Intent)], takes_it_back: bool) -> Answer {
    let Some((first, _)) = changes.first() else {
        return Answer::RolledBack;
    };
    let Ok(mut transaction) = Transaction::begin(ports, &first.tenant(), &Cause::root()).await else {
        return Answer::RolledBack;
    };
    ports.link.world.ledger.books().intents.extend(changes.iter().copied());
    for (change, intent) in changes {
        if write(&mut transaction, *change, intent).await.is_err() {
            return Answer::RolledBack;
        }
    }
    if takes_it_back {
        return Answer::RolledBack;
    }
    match transaction.commit().await {
        Ok(()) => Answer::Committed,
        Err(CommitError::Unknown { .. }) => Answer::Unknown,
        Err(CommitError::RolledBack { .. } | CommitError::Conflict { .. } | CommitError::Refused { .. }) => {
            Answer::RolledBack
        }
    }
}

/// Writes one change, and what is to be done about it.
async fn write(transaction: &mut Transaction, change: Change, intent: &Intent) -> Result<(), WriteError> {
    let event = OrderChanged {
        organization_id: change.organization.into(),
        project_id: 1.into(),
        order: change.order,
        number: change.number,
        record: intent.record.code(),
        mail: intent.mail.code(),
        note: intent.note.map(Plan::code),
    };
    let event = transaction.outbox().write(event).await?;
    if let Some(plan) = intent.job {
        let job = RunJob {
            organization_id: change.organization.into(),
            project_id: 1.into(),
            order: change.order,
            number: change.number,
            plan: plan.code(),
        };
        transaction.outbox().publish(job, TaskOptions::default()).await?;
    }
    transaction.entry(Box::new(move |books| {
        if let Some(intent) = books.intents.get_mut(&change) {
            intent.committed = Some(event);
        }
    }));
    Ok(())
}
