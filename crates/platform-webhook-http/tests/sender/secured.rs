//! TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aftercommit_domain::effects::{WebhookAnswer, WebhookError, WebhookNetwork};
use aftercommit_platform_webhook_http::HttpWebhookSender;
use aftercommit_testkit::ManualClock;
use aftercommit_testkit::webhook_receiver::{ReceiverStep, RecordingWebhookReceiver};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Names, send};

const HOST: &str = "hooks.example.com";

/// Which certificate a receiver shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Valid,
    Expired,
    AnotherName,
    SelfSigned,
}

/// A receiver that shows this certificate and answers once, and the authority that others vouch for.
async fn receiver(shows: Shows) -> (SocketAddr, String) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority
        .distinguished_name
        .push(DnType::CommonName, "an authority of the test's own");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);

    let name = if shows == Shows::AnotherName {
        "other.example.com"
    } else {
        HOST
    };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if shows == Shows::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = if shows == Shows::SelfSigned {
        params.self_signed(&key).unwrap()
    } else {
        params.signed_by(&key, &issuer).unwrap()
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let mut part = Vec::with_capacity(4096);
            assert!(stream.read_buf(&mut part).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, pem)
}

async fn sent_to(shows: Shows) -> Result<WebhookAnswer, WebhookError> {
    let (address, authority) = receiver(shows).await;
    let clock = Arc::new(ManualClock::default());
    let sender = HttpWebhookSender::trusting(WebhookNetwork::Any, clock, &authority).unwrap();
    send(
        &sender.with_names(Names::of([vec![address]])),
        &format!("https://{HOST}/"),
    )
    .await
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_valid_is_sent_to() {
    assert_eq!(sent_to(Shows::Valid).await, Ok(WebhookAnswer { status: 204 }));
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_for_the_receiver_is_a_failed_attempt_with_its_cause() {
    for (shows, cause) in [
        (Shows::Expired, "expired"),
        (Shows::AnotherName, "not valid for name"),
        (Shows::SelfSigned, "UnknownIssuer"),
    ] {
        let sent = sent_to(shows).await;
        let Err(WebhookError::Tls { reason }) = sent else {
            panic!("{shows:?}: {sent:?}")
        };
        assert!(reason.contains(cause), "{shows:?}: {reason}");
    }
}

#[tokio::test]
async fn a_receiver_without_tls_at_an_address_with_it_gets_nothing() {
    let plain = RecordingWebhookReceiver::start().await.unwrap();
    plain.script([ReceiverStep::AcceptWith(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())]);
    let clock = Arc::new(ManualClock::default());
    let sender = HttpWebhookSender::trusting(WebhookNetwork::Any, clock, "").unwrap();
    let sender = sender.with_timeouts(aftercommit_platform_webhook_http::WebhookTimeouts {
        connect: super::SOON,
        whole: super::SOON,
    });
    let sent = send(
        &sender.with_names(Names::of([vec![plain.address()]])),
        &format!("https://{HOST}/"),
    )
    .await;
    assert!(
        matches!(sent, Err(WebhookError::Tls { .. } | WebhookError::Unreachable { .. })),
        "{sent:?}"
    );
    assert!(plain.received().is_empty());
}

#[tokio::test]
async fn the_machines_own_authorities_are_trusted_or_the_sender_is_not_made() {
    let made = HttpWebhookSender::new(WebhookNetwork::Public, Arc::new(ManualClock::default()));
    if let Err(error) = made {
        assert!(
            error.to_string().contains("no certificate authority is trusted"),
            "{error}"
        );
    }
}
