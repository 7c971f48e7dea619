//! A key travels with TLS only.

use std::sync::Arc;

use aftercommit_domain::workflows::WorkflowEnd;
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, Tls, WorkerHealth};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::environment::{Environment, WallClock};
use crate::workflows::{Counting, Script, Scripted, ScriptedWorkflow};

/// Speaks TLS in front of the server, with a certificate for `localhost`. Answers its port and its authority.
async fn tls_in_front_of(server: String) -> (u16, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "it goes with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _closed = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, authority.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_and_its_callers_speak_tls_to_a_server_they_trust_and_to_no_other() {
    let environment = Environment::shared().await;
    let (port, authority) = tls_in_front_of(environment.server.address().to_owned()).await;
    let config = |authorities| {
        let tls = Tls {
            authorities,
            ..Tls::default()
        };
        let config = TemporalConfig::new(&format!("localhost:{port}"), Some("a-key".into()), Some(tls)).unwrap();
        config.task_queue(&environment.queue).unwrap()
    };
    let untrusted = Temporal::new(config(None)).check().await.unwrap_err();
    assert!(!untrusted.contains("a-key"), "{untrusted}");

    let temporal = Temporal::new(config(Some(authority)));
    temporal.check().await.unwrap();
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let registry = registry.with_activity(Counting::default()).unwrap();
    let worker = temporal.start_worker(registry, Arc::new(WallClock)).unwrap();
    worker.wait_until(|health| *health == WorkerHealth::Running).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Count)).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(1.into())));
    worker.stop().await;
}
