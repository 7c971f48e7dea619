//! The id of a dispatch: the same at every redelivery, told apart by key or by place.

use aftercommit_domain::events::{RouteError, Routes, publish};

use crate::{
    InvoicePaid, NotifyWatcher, SendReceipt, dispatched, enveloped, enveloped_as, factory, ids, notify_each, paid,
};

#[test]
fn a_redelivered_event_gives_the_same_ids_in_any_process_and_release() {
    let routes = || Routes::new().on(|event: &InvoicePaid| (publish(SendReceipt::from(event)), notify_each(event)));
    let event = enveloped(&paid(&[1, 2]));
    let first = ids(&routes(), &event);
    assert_eq!(ids(&routes(), &event), first);
    // Written down: another id for the same dispatch would run it a second time after a deploy.
    let expected = [
        "232e0904-06ee-558a-8ca5-493b6dba7c4c",
        "94ca1337-ae88-5827-95d0-96d84245fb9d",
        "efc55adb-36da-51cc-ba09-832858cc8656",
    ];
    assert_eq!(first, expected.map(String::from));
}

#[test]
fn a_replay_gives_ids_of_its_own_the_same_ones_in_any_process_and_release() {
    let routes = Routes::new().on(|event: &InvoicePaid| (publish(SendReceipt::from(event)), notify_each(event)));
    let event = enveloped(&paid(&[1, 2]));
    let replayed = |replay: &str| -> Vec<String> {
        let dispatches = routes
            .replay(&event, factory().codec(), replay.parse().unwrap())
            .unwrap();
        dispatches.iter().map(|(id, _)| id.to_string()).collect()
    };
    let (one, other) = (
        "0192f0c1-7a3b-7c4d-8e5f-0123456789ab",
        "0192f0c1-7a3b-7c4d-8e5f-0123456789ac",
    );
    // Written down: other ids under the same replay id would run it a second time after a deploy.
    let expected = [
        "b88672ef-9e1d-5fe6-ab64-49007cfb0322",
        "92a82c19-bc5c-57db-b3c5-6340b2b1d541",
        "ca0bc29a-2945-541b-aef9-28d5f009464c",
    ];
    assert_eq!(replayed(one), expected.map(String::from));
    let all = [replayed(one), replayed(other), ids(&routes, &event)].concat();
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), 9, "no id twice");
}

#[test]
fn another_event_gives_other_ids() {
    let routes = Routes::new().on(|event: &InvoicePaid| publish(SendReceipt::from(event)));
    let (one, other) = (enveloped(&paid(&[])), enveloped_as(2, &paid(&[])));
    assert_ne!(ids(&routes, &one), ids(&routes, &other));
}

#[test]
fn a_keyed_dispatch_keeps_its_id_when_the_others_move_and_an_ordinal_one_does_not() {
    let keyed = Routes::new().on(notify_each);
    let ordinal = Routes::new().on(|event: &InvoicePaid| {
        event
            .watchers
            .iter()
            .map(|watcher| publish(NotifyWatcher::of(event, *watcher)))
            .collect::<Vec<_>>()
    });
    let (here, there) = (enveloped(&paid(&[1, 2, 3])), enveloped(&paid(&[3, 1])));
    let [one, _, three] = ids(&keyed, &here).try_into().unwrap();
    assert_eq!(ids(&keyed, &there), [three, one]);
    let by_place = ids(&ordinal, &here);
    assert_eq!(ids(&ordinal, &there), by_place.get(..2).unwrap());
}

#[test]
fn a_key_and_an_ordinal_of_the_same_text_are_two_dispatches() {
    for key in ["0", "#0", "=#0"] {
        let routes = Routes::new().on(move |event: &InvoicePaid| {
            (
                publish(NotifyWatcher::of(event, 1)),
                publish(NotifyWatcher::of(event, 2)).key(key),
            )
        });
        let [ordinal, keyed] = ids(&routes, &enveloped(&paid(&[]))).try_into().unwrap();
        assert_ne!(ordinal, keyed, "{key}");
    }
}

#[test]
fn one_key_may_be_used_for_two_contracts_but_not_twice_for_one() {
    let two_contracts = Routes::new().on(|event: &InvoicePaid| {
        (
            publish(SendReceipt::from(event)).key(1),
            publish(NotifyWatcher::of(event, 1)).key(1),
        )
    });
    let event = enveloped(&paid(&[1, 2, 1]));
    assert_eq!(ids(&two_contracts, &event).len(), 2);
    let error = dispatched(&Routes::new().on(notify_each), &event).unwrap_err();
    assert!(matches!(error, RouteError::Duplicate { .. }));
    assert_eq!(
        error.to_string(),
        "the route of InvoicePaid dispatches watchers/notify twice with key =1; give each its own `.key(…)`"
    );
}

#[test]
fn a_key_out_of_bounds_is_an_error_that_names_the_route() {
    for bad in [String::new(), "x".repeat(201), "a\u{1f}b".into()] {
        let (dispatch_key, order_key) = (bad.clone(), bad);
        let by_key = Routes::new().on(move |event: &InvoicePaid| publish(SendReceipt::from(event)).key(&dispatch_key));
        let by_order =
            Routes::new().on(move |event: &InvoicePaid| publish(SendReceipt::from(event)).order_key(&order_key));
        for (routes, what) in [(by_key, "a dispatch key"), (by_order, "an order key")] {
            let error = dispatched(&routes, &enveloped(&paid(&[]))).unwrap_err();
            assert!(matches!(error, RouteError::Key { .. }));
            let said = error.to_string();
            assert!(
                said.starts_with(&format!("the route of InvoicePaid to receipts/send: {what} must be")),
                "{said}"
            );
        }
    }
}
