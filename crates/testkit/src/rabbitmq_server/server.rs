//! What tests talk to: a broker of their own or a server that was there before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use url::Url;

use super::broker::Broker;
use super::external::URL_VARIABLE;
use super::installation::Installation;
use crate::throw_away::trouble::{Outcome, Trouble};

/// How long one call of `rabbitmqctl` may take. It takes a second or two, and many on a machine that is busy.
const CTL_PATIENCE: Duration = Duration::from_mins(1);

/// What it says while the server still starts.
const NOT_READY: &str = "requires the 'rabbit' app to be running";

/// The user of a broker of the tests' own, which is also its password.
const USER: &str = "guest";

pub(super) struct Server {
    url: Url,
    virtual_hosts: AtomicU64,
    kind: Kind,
}

enum Kind {
    External,
    Own {
        broker: Mutex<Broker>,
        /// Beside the lock, so that a broker which hangs can be asked and killed at the same time.
        files: Arc<Installation>,
        shared: bool,
    },
}

impl Server {
    pub(super) const fn external(url: Url) -> Self {
        Self {
            url,
            virtual_hosts: AtomicU64::new(0),
            kind: Kind::External,
        }
    }

    pub(super) fn own(broker: Broker, shared: bool) -> Outcome<Self> {
        let files = Arc::clone(broker.files());
        let url = format!("amqp://{USER}:{USER}@{}/%2f", files.address());
        Ok(Self {
            url: Url::parse(&url).map_err(Trouble::while_doing("the URL of the broker is wrong"))?,
            virtual_hosts: AtomicU64::new(0),
            kind: Kind::Own {
                broker: Mutex::new(broker),
                files,
                shared,
            },
        })
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn tls_port(&self) -> Option<u16> {
        self.files()?.tls_port()
    }

    /// Its URL of a TLS listener, if it has one.
    pub(super) fn tls_url(&self) -> Option<String> {
        let port = self.tls_port()?;
        Some(format!("amqps://{USER}:{USER}@localhost:{port}/%2f"))
    }

    /// The files of a broker of the tests' own.
    pub(super) fn files(&self) -> Option<&Installation> {
        match &self.kind {
            Kind::External => None,
            Kind::Own { files, .. } => Some(files),
        }
    }

    /// Asks the broker, if it is of the tests' own.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&Broker) -> T) -> Option<T> {
        match &self.kind {
            Kind::External => None,
            Kind::Own { broker, .. } => Some(ask(&lock(broker))),
        }
    }

    pub(super) fn ctl(&self, arguments: &[String]) -> Outcome<String> {
        let started = Instant::now();
        loop {
            let answer = self.controlled()?.ctl(arguments, CTL_PATIENCE);
            // It talks to clients a moment before it is ready for commands.
            match answer {
                Err(trouble) if trouble.to_string().contains(NOT_READY) && started.elapsed() < CTL_PATIENCE => {}
                answer => return answer,
            }
        }
    }

    fn controlled(&self) -> Outcome<&Installation> {
        self.files().ok_or_else(|| {
            Trouble::new(format!(
                "a server that {URL_VARIABLE} names cannot be controlled by tests: unset it, and they start one"
            ))
        })
    }

    /// Makes a virtual host for the user, and answers its URL.
    pub(super) fn new_virtual_host(&self) -> Outcome<String> {
        let number = self.virtual_hosts.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{number}");
        let all = ".*";
        let definitions = json!({
            "vhosts": [{ "name": name }],
            "permissions": [{ "user": USER, "vhost": name, "configure": all, "write": all, "read": all }],
        });
        let file = self
            .controlled()?
            .write(&format!("{name}.json"), &definitions.to_string())?;
        // One call where the commands for it would be two.
        self.ctl(&["import_definitions".to_owned(), file.display().to_string()])?;
        let mut url = self.url.clone();
        url.set_path(&name);
        Ok(url.to_string())
    }

    /// Fails where other tests use the same broker.
    pub(super) fn refuse_if_shared(&self) -> Outcome<()> {
        match &self.kind {
            Kind::Own { shared: false, .. } => Ok(()),
            Kind::External | Kind::Own { shared: true, .. } => Err(Trouble::new(
                "other tests use the shared broker: start one with `RabbitMqServer::start` to disturb it",
            )),
        }
    }

    /// Does something to the broker that only its one test may do.
    pub(super) fn control(&self, act: impl FnOnce(&mut Broker) -> Outcome<()>) -> Outcome<()> {
        self.refuse_if_shared()?;
        match &self.kind {
            Kind::External => Ok(()),
            Kind::Own { broker, .. } => act(&mut lock(broker)),
        }
    }
}

fn lock(broker: &Mutex<Broker>) -> MutexGuard<'_, Broker> {
    broker.lock().unwrap_or_else(PoisonError::into_inner)
}
