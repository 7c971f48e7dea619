//! A call that is dropped at any of its awaits: no task is lost, none is there twice, and the next call works.

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Deliveries, Delivery, Outcome, QueueMaintenance as _, QueuePublisher as _};
use aftercommit_testkit::conformance::support::{PAST_LEASE, QUIET, ok, soon};
use aftercommit_testkit::dropped_after;

use crate::rig::Rig;
use crate::steps::id_of;

/// Far more polls than any call takes.
const MOST_POLLS: usize = 100;

/// The next task, which is this one; when its lease must end first, it does.
async fn next_is(rig: &Rig, deliveries: &mut Box<dyn Deliveries>, id: MessageId) -> Box<dyn Delivery> {
    loop {
        if let Ok(delivery) = tokio::time::timeout(QUIET, deliveries.next()).await {
            let delivery = delivery.unwrap().unwrap();
            assert_eq!(id_of(&*delivery), id);
            return delivery;
        }
        rig.advance(PAST_LEASE).await;
        ok("a rescue", rig.process.queue.rescue_expired()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_taking_and_settling_dropped_anywhere_lose_no_task_and_end_each_once() {
    let rig = Rig::start().await;
    let queue = &rig.process.queue;
    let mut deliveries = rig.process.consume(4).await;
    let (mut tasks, mut completed, mut late) = (0, 0, 0);
    for polls in 0..MOST_POLLS {
        let task = rig.messages().tasks(1).remove(0);
        let id = task.id;
        tasks += 1;
        let is_published = dropped_after(polls, queue.publish(vec![task.clone()])).await.is_some();
        // Published or not: again under the same id. A dropped call may still arrive after that one has ended.
        late += i64::from(!is_published);
        soon("a task to be published", queue.publish(vec![task]))
            .await
            .remove(0)
            .unwrap();
        let taken = dropped_after(polls, deliveries.next()).await;
        let is_taken = taken.is_some();
        let delivery = match taken {
            Some(delivery) => delivery.unwrap().unwrap(),
            None => next_is(&rig, &mut deliveries, id).await,
        };
        assert_eq!(id_of(&*delivery), id);
        let is_settled = dropped_after(polls, delivery.ack(&Outcome::Completed)).await.is_some();
        if !is_settled {
            // It ended all the same, or it comes again.
            while rig.count("SELECT count(*) FROM aftercommit.tasks").await > 0 {
                // Long enough for the lease to be ended in between.
                let again = tokio::time::timeout(QUIET * 10, next_is(&rig, &mut deliveries, id)).await;
                if let Ok(delivery) = again {
                    ok("an ack", delivery.ack(&Outcome::Completed)).await;
                }
            }
        }
        completed += i32::from(is_published && is_taken && is_settled);
        if completed == 3 {
            break;
        }
    }
    assert_eq!(completed, 3, "it never ended");
    println!("dropped at {} awaits", tasks - 3);
    let outcomes = rig.count("SELECT count(*) FROM aftercommit.task_outcomes").await;
    assert!((tasks..=tasks + late).contains(&outcomes), "{outcomes} of {tasks}");
    let ids = "SELECT count(DISTINCT id) FROM aftercommit.task_outcomes";
    assert_eq!(rig.count(ids).await, tasks);
    drop(deliveries);
    rig.stop().await;
}
