//! A login, a virtual host or a permission that is wrong, or taken away.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use aftercommit_domain::tasks::{Broker, BrokerError, PublishError};
use aftercommit_platform_queue_amqp::AmqpOptions;
use aftercommit_testkit::proxy::{Arrivals, TcpProxy};
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use tokio::time::interval;

use crate::rig::{LETTERS, Rig};
use crate::support::{connected, soon, until, within};

/// Back after what it waits for is there: within 5 s, and what a machine takes for it that is busy with other tests.
const BACK: Duration = Duration::from_secs(20);

async fn refused(change: impl FnOnce(&mut AmqpOptions)) -> BrokerError {
    let rig = Rig::start(change).await;
    let declared = soon("an answer", rig.queue.declare(&BTreeSet::from([LETTERS]))).await;
    assert!(rig.queue.trouble().is_some());
    rig.queue.close().await;
    declared.unwrap_err()
}

#[tokio::test]
async fn a_wrong_login_or_virtual_host_is_refused_by_name_and_without_the_password() {
    let password = "canary-0c1e";
    let wrong_password = refused(|options| options.password = password.into()).await;
    let wrong_vhost = refused(|options| {
        options.vhost = "nowhere".into();
    })
    .await;
    for (error, vhost) in [(wrong_password, "\"/\""), (wrong_vhost, "\"nowhere\"")] {
        assert!(matches!(error, BrokerError::Refused { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(error.to_string().contains(vhost), "{text}");
        assert!(!text.contains(password), "{text}");
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(|options| options.port = port).await;
    assert!(matches!(error, BrokerError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_named_and_all_goes_on_when_it_is_back() {
    let server = RabbitMqServer::shared().await;
    let url = server.new_vhost().await;
    let vhost = url.rsplit('/').next().unwrap();
    let user = format!("worker-of-{vhost}");
    let allow = async |write: &str| {
        server
            .ctl(&["set_permissions", "-p", vhost, &user, ".*", write, ".*"])
            .await;
    };
    server.ctl(&["add_user", &user, "canary-77ab"]).await;
    allow(".*").await;
    let rig = Rig::start(|options| {
        options.vhost = vhost.into();
        options.username = user.clone();
        options.password = "canary-77ab".into();
        // Names of its own: they are those of another virtual host.
        options.max_length = Some(77);
    })
    .await;
    rig.publish_all(rig.messages().tasks(1)).await;

    // The broker remembers what a channel was allowed.
    let forget = async || drop(server.ctl(&["close_all_user_connections", &user, "a test"]).await);
    allow("^$").await;
    forget().await;
    until("it to be refused", async || {
        let result = rig.publish_one(rig.messages().task()).await;
        matches!(&result, Err(PublishError::Refused { reason }) if reason.contains("ACCESS_REFUSED"))
    })
    .await;

    server.ctl(&["clear_permissions", "-p", vhost, &user]).await;
    forget().await;
    until("the virtual host to be named", async || {
        let trouble = rig.queue.trouble().unwrap_or_default();
        trouble.contains(&format!("{vhost:?}")) && trouble.contains("NOT_ALLOWED")
    })
    .await;
    let trouble = rig.queue.trouble().unwrap();
    assert!(!trouble.contains("canary-77ab"), "{trouble}");
    assert!(rig.publish_one(rig.messages().task()).await.is_err());

    allow(".*").await;
    within(BACK, "it to go on", connected(&rig.queue)).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.queue.close().await;
}

#[tokio::test]
async fn connections_are_tried_again_not_all_at_once_and_not_without_end() {
    let server = RabbitMqServer::shared().await;
    let proxy = TcpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start(|options| options.port = proxy.address().port()).await;
    let others: Vec<_> = (0..4).map(|_| rig.another()).collect();
    let queues: Vec<_> = others.iter().chain([&rig.queue]).collect();
    for queue in &queues {
        connected(queue).await;
    }

    // Ten connections, lost at the same time.
    proxy.set_arrivals(Arrivals::Cut);
    let before = proxy.connections();
    proxy.cut();
    let (started, mut seen) = (Instant::now(), Vec::new());
    let mut glance = interval(Duration::from_millis(20));
    while started.elapsed() < Duration::from_secs(5) {
        glance.tick().await;
        seen.push((started.elapsed(), proxy.connections() - before));
    }
    let (_, all) = *seen.last().unwrap();
    // Without a bound it would be thousands; each of the ten has time for about seven.
    assert!((20..=120).contains(&all), "{all} in 5 s");
    let later = &seen[seen.len() / 5..];
    // On a busy machine a look may come late, and sees what came in a longer time.
    let looks = later
        .windows(4)
        .filter(|some| some[3].0.saturating_sub(some[0].0) < Duration::from_millis(70));
    let most = looks.map(|some| some[3].1 - some[0].1).max();
    assert!(most.is_some_and(|most| most <= 6), "{most:?} of ten within 70 ms");

    proxy.set_arrivals(Arrivals::Forward);
    for queue in &queues {
        within(BACK, "all to be back", connected(queue)).await;
    }
    for other in others {
        other.close().await;
    }
    rig.stop().await;
}
