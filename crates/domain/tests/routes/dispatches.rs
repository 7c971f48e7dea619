//! What a dispatch becomes: its order, its options, its cause, its secrets.

use std::time::Duration;

use aftercommit_domain::contract::{OrderKey, Sealed, TaskEnvelope};
use aftercommit_domain::events::{Routes, publish};
use aftercommit_domain::failure::Classified;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;

use crate::{InvoicePaid, NotifyWatcher, SendReceipt, enveloped, factory, notify_each, paid, tasks};

#[test]
fn dispatches_keep_the_order_of_the_route() {
    let routes = Routes::new().on(|event: &InvoicePaid| {
        let none: Option<_> = event.watchers.is_empty().then(|| publish(SendReceipt::from(event)));
        (
            notify_each(event),
            none,
            publish(SendReceipt::from(event)),
            Some(publish(NotifyWatcher::of(event, 99))),
        )
    });
    let event = enveloped(&paid(&[5, 3, 4]));
    let tasks: Vec<String> = tasks(&routes, &event)
        .iter()
        .map(|task| {
            format!(
                "{}/{} {}",
                task.topic,
                task.task,
                task.payload.as_str().split(',').next_back().unwrap()
            )
        })
        .collect();
    assert_eq!(
        tasks,
        [
            "watchers/notify \"watcher\":5}",
            "watchers/notify \"watcher\":3}",
            "watchers/notify \"watcher\":4}",
            "receipts/send \"address\":null}",
            "watchers/notify \"watcher\":99}",
        ]
    );
}

#[test]
fn a_dispatch_carries_its_options_its_tenant_and_why_it_exists() {
    let at: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let routes = Routes::new().on(move |event: &InvoicePaid| {
        (
            publish(SendReceipt::from(event)),
            publish(SendReceipt::from(event))
                .delay(Duration::from_secs(90))
                .order_key("all")
                .deadline(at),
            publish(SendReceipt::from(event))
                .delay(Duration::from_secs(90))
                .run_at(at),
        )
    });
    let event = enveloped(&paid(&[]));
    let [plain, delayed, at_a_time] = tasks(&routes, &event).try_into().unwrap();
    assert_eq!(
        (plain.tenant.to_string().as_str(), plain.attempt, plain.not_before),
        ("7/8", 1, None)
    );
    assert_eq!(plain.order_key.as_ref().map(OrderKey::as_str), Some("9"));
    assert_eq!(plain.cause.causation, Some(event.id));
    assert_eq!(plain.cause.correlation, event.cause.correlation);
    assert_eq!(delayed.not_before, Some("2026-01-01T00:01:30Z".parse().unwrap()));
    assert_eq!(
        (delayed.order_key.as_ref().map(OrderKey::as_str), delayed.deadline),
        (Some("all"), Some(at))
    );
    assert_eq!((at_a_time.not_before, at_a_time.deadline), (Some(at), None));
}

#[test]
fn a_secret_is_opened_for_the_route_and_sealed_anew_for_each_dispatch() {
    let mut event = paid(&[]);
    event.address = Some(Sealed::new("someone@shop.example".into()));
    let routes =
        Routes::new().on(|event: &InvoicePaid| (publish(SendReceipt::from(event)), publish(SendReceipt::from(event))));
    let [first, second] = tasks(&routes, &enveloped(&event)).try_into().unwrap();
    let factory = factory();
    let open = |task: &TaskEnvelope, id: MessageId| {
        let read = factory
            .codec()
            .decode::<SendReceipt>(&task.payload, task.version, &task.tenant, id);
        read.map_or_else(
            |error| error.code().to_owned(),
            |task| task.address.unwrap().into_exposed(),
        )
    };
    assert_eq!(open(&first, first.id), "someone@shop.example");
    assert_eq!(open(&second, second.id), "someone@shop.example");
    assert_eq!(open(&first, second.id), "crypto.does_not_open");
    assert!(!first.encode().contains("someone"));
}
