//! TLS: who is trusted, and who is not.

use std::collections::BTreeSet;

use aftercommit_domain::tasks::{Broker, BrokerError};
use aftercommit_platform_queue_amqp::{AmqpOptions, AmqpTls};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use secrecy::SecretString;

use crate::certificates::{Authority, Identity};
use crate::rig::{LETTERS, Rig};
use crate::support::{ok, soon};

/// Sets up TLS that trusts this authority only, besides those of the machine.
fn over_tls(options: &mut AmqpOptions, server: &RabbitMqServer, authority: &Authority, shown: Option<&Identity>) {
    options.host = "localhost".into();
    options.port = server.tls_port().unwrap();
    options.tls = Some(AmqpTls {
        authorities: Some(authority.certificate.clone()),
        identity: shown.map(|shown| {
            let key = SecretString::from(shown.key.clone());
            (shown.certificate.clone().into_bytes(), key)
        }),
    });
}

async fn serving(authority: &Authority, shown: &Identity) -> RabbitMqServer {
    let options = RabbitMqOptions::default();
    RabbitMqServer::start(options.tls(&shown.certificate, &shown.key, &authority.certificate)).await
}

/// Why it cannot be connected to.
async fn cause(server: &RabbitMqServer, change: impl FnOnce(&mut AmqpOptions)) -> String {
    let rig = Rig::start_on(server, change).await;
    let declared = soon("an answer", rig.queue.declare(&BTreeSet::from([LETTERS]))).await;
    rig.queue.close().await;
    let error = declared.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_connected_to_and_any_other_is_refused_with_the_cause() {
    let (authority, other) = (Authority::new("authority"), Authority::new("another authority"));
    let server = serving(&authority, &authority.issue("localhost")).await;
    let rig = Rig::start_on(&server, |options| over_tls(options, &server, &authority, None)).await;
    ok("to declare", rig.queue.declare(&BTreeSet::from([LETTERS]))).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.queue.close().await;

    let unknown = cause(&server, |options| over_tls(options, &server, &other, None)).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let wrong_host = cause(&server, |options| {
        over_tls(options, &server, &authority, None);
        options.host = "127.0.0.1".into();
    })
    .await;
    assert!(wrong_host.contains("not valid for name"), "{wrong_host}");
    let plain = cause(&server, |options| {
        over_tls(options, &server, &authority, None);
        options.port = server.port();
    })
    .await;
    assert!(plain.contains("InvalidContentType"), "{plain}");
    let plain_client = cause(&server, |options| options.port = server.tls_port().unwrap()).await;
    assert!(
        plain_client.contains("localhost") || plain_client.contains("127.0.0.1"),
        "{plain_client}"
    );
}

#[tokio::test]
async fn a_server_whose_certificate_is_over_is_refused_with_the_cause() {
    let authority = Authority::new("authority");
    let server = serving(&authority, &authority.issue_expired("localhost")).await;
    let expired = cause(&server, |options| over_tls(options, &server, &authority, None)).await;
    assert!(expired.contains("expired"), "{expired}");
}

#[tokio::test]
async fn a_server_that_vouches_for_itself_is_refused_with_the_cause() {
    let authority = Authority::new("authority");
    let server = serving(&authority, &Identity::self_signed("localhost")).await;
    let unknown = cause(&server, |options| over_tls(options, &server, &authority, None)).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let authority = Authority::new("authority");
    let own = authority.issue("localhost");
    let options = RabbitMqOptions::default();
    let options = options.tls_verify_peer(&own.certificate, &own.key, &authority.certificate);
    let server = RabbitMqServer::start(options).await;
    let client = authority.issue("worker");
    let rig = Rig::start_on(&server, |options| over_tls(options, &server, &authority, Some(&client))).await;
    ok("to declare", rig.queue.declare(&BTreeSet::from([LETTERS]))).await;
    rig.queue.close().await;

    let without = cause(&server, |options| over_tls(options, &server, &authority, None)).await;
    // With TLS 1.3 the server says so only after the handshake, and by then may have ended it without a word.
    assert!(without.contains("localhost"), "{without}");
    let foreign = Authority::new("another authority").issue("worker");
    let foreign = cause(&server, |options| {
        over_tls(options, &server, &authority, Some(&foreign));
    })
    .await;
    assert!(foreign.contains("localhost"), "{foreign}");
}
