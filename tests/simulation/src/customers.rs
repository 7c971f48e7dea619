//! Who changes orders: one after another for each order, through whatever process answers.

use std::sync::Arc;

use aftercommit_domain::contract::Cause;
use aftercommit_domain::events::OutboxWriterExt;
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
        number += 1;
        let change = Change {
            organization: i64::from(index % 2),
            order: index / 2,
            number,
        };
        let plan = || Plan::of(&dice, world.scenario.troubled_tasks);
        let intent = Intent {
            record: plan(),
            mail: plan(),
            job: dice.happens(500).then(plan),
            note: dice.happens(500).then(plan),
            answer: Answer::Unknown,
            committed: None,
        };
        let takes_it_back = dice.happens(150);
        let (tell, told) = oneshot::channel();
        let ports = process.ports.clone();
        process.run(async move {
            let answer = request(&ports, change, intent, takes_it_back).await;
            // Whoever asked waits for as long as this runs.
            let _ = tell.send(answer);
        });
        drop(process);
        // The next change of this order begins only when it is known that this one is over: writers take turns.
        let answer = told.await.unwrap_or(Answer::Unknown);
        if let Some(intent) = world.ledger.books().intents.get_mut(&change) {
            intent.answer = answer;
        }
    }
}

async fn request(ports: &Ports, change: Change, intent: Intent, takes_it_back: bool) -> Answer {
    let Ok(mut transaction) = Transaction::begin(ports, &change.tenant(), &Cause::root()).await else {
        return Answer::RolledBack;
    };
    ports.link.world.ledger.books().intents.insert(change, intent);
    let event = OrderChanged {
        organization_id: change.organization.into(),
        project_id: 1.into(),
        order: change.order,
        number: change.number,
        record: intent.record.code(),
        mail: intent.mail.code(),
        note: intent.note.map(Plan::code),
    };
    let Ok(event) = transaction.outbox().write(event).await else {
        return Answer::RolledBack;
    };
    if let Some(plan) = intent.job {
        let job = RunJob {
            organization_id: change.organization.into(),
            project_id: 1.into(),
            order: change.order,
            number: change.number,
            plan: plan.code(),
        };
        if transaction.outbox().publish(job, TaskOptions::default()).await.is_err() {
            return Answer::RolledBack;
        }
    }
    if takes_it_back {
        return Answer::RolledBack;
    }
    transaction.entry(Box::new(move |books| {
        if let Some(intent) = books.intents.get_mut(&change) {
            intent.committed = Some(event);
        }
    }));
    match transaction.commit().await {
        Ok(()) => Answer::Committed,
        Err(CommitError::Unknown { .. }) => Answer::Unknown,
        Err(CommitError::RolledBack { .. } | CommitError::Conflict { .. } | CommitError::Refused { .. }) => {
            Answer::RolledBack
        }
    }
}
