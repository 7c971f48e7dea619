//! The table as a whole: what it shows, and what its check finds.

use aftercommit_domain::catalogue;
use aftercommit_domain::contract::EventEnvelope;
use aftercommit_domain::events::{EventCatalogue, RouteEffect, RouteError, Routes, publish};
use aftercommit_domain::failure::Classified;

use crate::{
    InvoicePaid, InvoiceViewed, InvoiceVoided, SendReceipt, dispatched, enveloped, ids, notify_each, paid, viewed,
};

#[test]
fn nothing_follows_from_an_event_that_says_so_or_whose_route_answers_nothing() {
    let routes = Routes::new()
        .none::<InvoiceViewed>("kept for the event log only")
        .on(|event: &InvoicePaid| event.address.as_ref().map(|_| publish(SendReceipt::from(event))));
    assert_eq!(ids(&routes, &enveloped(&viewed())), Vec::<String>::new());
    assert_eq!(ids(&routes, &enveloped(&paid(&[]))), Vec::<String>::new());
}

#[test]
fn the_table_shows_what_may_follow_without_an_event() {
    let routes = Routes::new()
        .on(|event: &InvoicePaid| (notify_each(event), Some((publish(SendReceipt::from(event)),))))
        .none::<InvoiceViewed>("kept for the event log only");
    let [paid, viewed] = routes.entries() else {
        panic!("two entries")
    };
    let RouteEffect::Dispatches(targets) = &paid.effect else {
        panic!("dispatches")
    };
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(
        (paid.event.as_str(), targets),
        ("InvoicePaid", vec!["watchers/notify".into(), "receipts/send".into()])
    );
    assert_eq!(viewed.effect, RouteEffect::None("kept for the event log only"));
}

#[test]
fn an_event_without_a_route_or_of_an_unreadable_version_is_an_error() {
    let routes = Routes::new().on(|event: &InvoicePaid| publish(SendReceipt::from(event)));
    let code = |event: &EventEnvelope| match dispatched(&routes, event) {
        Err(RouteError::Decode(error)) => error.code(),
        Err(RouteError::Key { .. } | RouteError::Duplicate { .. }) => "route",
        Ok(_) => "dispatched",
    };
    assert_eq!(code(&enveloped(&viewed())), "handler.unknown");
    assert_eq!(
        code(&EventEnvelope {
            version: 2,
            ..enveloped(&paid(&[]))
        }),
        "version.unsupported"
    );
    assert_eq!(code(&enveloped(&paid(&[]))), "dispatched");
}

#[test]
fn a_table_that_covers_the_catalogue_passes_its_check() {
    let routes = Routes::new()
        .on(|event: &InvoicePaid| publish(SendReceipt::from(event)))
        .none::<InvoiceViewed>("kept for the event log only");
    assert_eq!(routes.check(&catalogue![InvoiceViewed, InvoicePaid]), Ok(()));
    assert_eq!(Routes::new().check(&EventCatalogue::new()), Ok(()));
}

#[test]
fn the_check_names_every_problem_at_once() {
    let routes = Routes::new()
        .on(|event: &InvoicePaid| publish(SendReceipt::from(event)))
        .none::<InvoicePaid>("by mistake")
        .none::<InvoiceVoided>("not in the catalogue");
    let error = routes
        .check(&catalogue![InvoicePaid, InvoiceViewed, InvoicePaid])
        .unwrap_err();
    let problem = |start: &str| {
        error
            .problems
            .iter()
            .filter(|problem| problem.starts_with(start))
            .count()
    };
    for start in [
        "InvoicePaid has 2 routes; ",
        "InvoiceViewed has no route; add `.on(|event: &InvoiceViewed| …)` or `.none::<InvoiceViewed>(\"reason\")`",
        "InvoiceVoided has a route but is not in the catalogue; ",
        "InvoicePaid is 2 times in the catalogue; ",
    ] {
        assert_eq!(problem(start), 1, "{start}: {:?}", error.problems);
    }
    assert_eq!(error.problems.len(), 4, "{:?}", error.problems);
}
