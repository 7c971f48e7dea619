//! What is there already when the topology is declared.

use std::collections::BTreeSet;

use aftercommit_domain::tasks::{Broker, BrokerError};
use futures::future::join_all;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use crate::rig::{LETTERS, Rig};
use crate::support::{ok, soon};

#[tokio::test]
async fn a_queue_that_was_declared_in_another_way_is_refused_with_the_difference() {
    let rig = Rig::start(|options| options.max_length = Some(2001)).await;
    let topics = BTreeSet::from([LETTERS]);
    ok("to declare", rig.queue.declare(&topics)).await;
    let other = rig.another_with(|options| options.max_length = Some(2002));
    let error = soon("an answer", other.declare(&topics)).await.unwrap_err();
    let BrokerError::Drifted { what, difference } = error else {
        panic!("{error:?}");
    };
    assert_eq!(what, format!("the queue {}", rig.letters()));
    assert_eq!(difference, "its x-max-length is 2001 and this build says 2002");
    ok("the first to declare again", rig.queue.declare(&topics)).await;
    other.close().await;
    rig.stop().await;
}

#[tokio::test]
async fn an_exchange_of_another_kind_is_refused_with_the_difference() {
    let rig = Rig::start(|options| options.max_length = Some(2003)).await;
    let (channel, name) = (rig.channel().await, rig.name("publish"));
    let declaring = channel.exchange_declare(
        name.as_str().into(),
        ExchangeKind::Fanout,
        ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        },
        FieldTable::default(),
    );
    ok("to declare", declaring).await;
    let error = soon("an answer", rig.queue.declare(&BTreeSet::from([LETTERS])))
        .await
        .unwrap_err();
    let BrokerError::Drifted { what, difference } = error else {
        panic!("{error:?}");
    };
    assert_eq!(what, format!("the exchange {name}"));
    assert_eq!(difference, "its type is fanout and this build says direct");
    rig.queue.close().await;
}

#[tokio::test]
async fn who_may_not_create_a_missing_queue_is_told_its_name() {
    let rig = Rig::start(|_| {}).await;
    let topics = BTreeSet::from([LETTERS]);
    ok("to declare", rig.queue.declare(&topics)).await;
    let looking = rig.another_with(|options| options.declare = false);
    ok("to find all of it", looking.declare(&topics)).await;

    let deleting = rig.channel().await;
    let deleting = deleting.queue_delete(rig.letters().as_str().into(), QueueDeleteOptions::default());
    ok("to delete a queue", deleting).await;
    let error = soon("an answer", looking.declare(&topics)).await.unwrap_err();
    let BrokerError::Refused { reason, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        reason,
        format!(
            "the queue {} is missing, and this process may not create it",
            rig.letters()
        )
    );
    let parts = ok("to look", looking.topology(&topics)).await;
    let missing: Vec<_> = parts
        .iter()
        .filter(|part| !part.exists)
        .map(|part| &part.name)
        .collect();
    assert_eq!(missing, [&rig.letters()]);
    looking.close().await;
    rig.stop().await;
}

#[tokio::test]
async fn several_processes_may_declare_at_once_and_again() {
    let rig = Rig::start(|options| options.max_length = Some(2004)).await;
    let topics = BTreeSet::from([LETTERS]);
    let queues: Vec<_> = (0..3).map(|_| rig.another()).collect();
    for _ in 0..2 {
        let declared = soon(
            "all to declare",
            join_all(queues.iter().map(|queue| queue.declare(&topics))),
        )
        .await;
        for result in declared {
            result.unwrap();
        }
    }
    for queue in queues {
        queue.close().await;
    }
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.stop().await;
}
