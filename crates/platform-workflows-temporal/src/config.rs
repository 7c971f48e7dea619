//! Where the server is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// How a process speaks to Temporal. It holds a key, and shows none.
///
/// A key never travels in the open: with one the connection is made with TLS, and an address that says `http://` is
/// refused.
#[derive(Debug, Clone)]
pub struct TemporalConfig {
    target: Url,
    api_key: Option<SecretString>,
    tls: Option<Tls>,
    pub(crate) namespace: String,
    pub(crate) task_queue: String,
    pub(crate) identity: String,
    pub(crate) sticky_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) search_attributes: bool,
    pub(crate) max_id_bytes: usize,
}

/// TLS that asks for more than a certificate of an authority that the system trusts. All are PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authorities of the server's certificate; `None`: those the system trusts.
    pub authorities: Option<String>,
    /// The name in the server's certificate; `None`: that of the address.
    pub server_name: Option<String>,
    /// What this process shows of itself.
    pub client: Option<ClientCertificate>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, and what links it to its authority.
    pub certificate: String,
    /// Its key.
    pub key: SecretString,
}

/// Why a process cannot speak to Temporal like that. It never holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemporalConfigError {
    /// The address is none.
    #[error(
        "the address of Temporal is wrong: {0}; expected host:port, http://host:port or https://host:port without a path"
    )]
    Address(String),
    /// A key would be readable on the way.
    #[error("an API key of Temporal needs TLS: write https:// before the address, or leave http:// out")]
    KeyWithoutTls,
    /// Certificates for a connection that has none.
    #[error("certificates of Temporal need TLS: write https:// before the address, or leave http:// out")]
    CertificatesWithoutTls,
    /// A name is empty or too long for the server.
    #[error("the {what} of Temporal is wrong: expected 1 to 200 characters")]
    Name {
        /// Which name.
        what: &'static str,
    },
}

/// How the address says whether TLS is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
    /// It does not: with a key or certificates it is.
    Unsaid,
}

impl TemporalConfig {
    /// The namespace `default` and the task queue `aftercommit` of the server at this address: `host:port`,
    /// `http://host:port`, or `https://host:port` with TLS. Without a scheme, a key or certificates turn TLS on.
    ///
    /// `Err`: the address is none, or it says `http://` and there is a key or a certificate.
    pub fn new(address: &str, api_key: Option<SecretString>, tls: Option<Tls>) -> Result<Self, TemporalConfigError> {
        let (scheme, rest) = match address.split_once("://") {
            Some(("http", rest)) => (Scheme::Plain, rest),
            Some(("https", rest)) => (Scheme::Tls, rest),
            Some((other, _)) => return Err(TemporalConfigError::Address(format!("it begins with {other}://"))),
            None => (Scheme::Unsaid, address),
        };
        let with_tls = match scheme {
            Scheme::Plain if api_key.is_some() => return Err(TemporalConfigError::KeyWithoutTls),
            Scheme::Plain if tls.is_some() => return Err(TemporalConfigError::CertificatesWithoutTls),
            Scheme::Plain => false,
            Scheme::Tls => true,
            Scheme::Unsaid => api_key.is_some() || tls.is_some(),
        };
        Ok(Self {
            target: target(rest, with_tls)?,
            api_key,
            // The SDK turns it on by nothing else, whatever its documentation says of keys.
            tls: with_tls.then(|| tls.unwrap_or_default()),
            namespace: "default".to_owned(),
            task_queue: "aftercommit".to_owned(),
            identity: format!("aftercommit@{}", std::process::id()),
            sticky_timeout: Duration::from_secs(3),
            grace: Duration::from_secs(15),
            call_timeout: Duration::from_secs(10),
            search_attributes: true,
            max_id_bytes: 255,
        })
    }

    /// Another namespace than `default`.
    pub fn namespace(mut self, namespace: &str) -> Result<Self, TemporalConfigError> {
        self.namespace = name("namespace", namespace)?;
        Ok(self)
    }

    /// Another task queue than `aftercommit`. Workflows are started for it, and a worker host takes its tasks.
    pub fn task_queue(mut self, task_queue: &str) -> Result<Self, TemporalConfigError> {
        self.task_queue = name("task queue", task_queue)?;
        Ok(self)
    }

    /// How long the server holds a workflow for the worker that has it in memory before any other may take it: what a
    /// killed worker costs. Three seconds by default.
    pub fn sticky_timeout(mut self, timeout: Duration) -> Self {
        self.sticky_timeout = timeout;
        self
    }

    /// How long running activities may go on when a worker host stops, before they are told to end. 15 seconds by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long one call may take, its repetitions included. Ten seconds by default.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// How many bytes the id of a workflow may have: one that is longer is refused before the server is asked. 255 by
    /// default, as much as its SQL stores hold.
    pub fn max_id_bytes(mut self, bytes: usize) -> Self {
        self.max_id_bytes = bytes;
        self
    }

    /// Whether the tenant is also written into the search attributes `AftercommitOrganization` and `AftercommitProject`
    /// (`Keyword`). On by default: a namespace that does not have them is noticed at the first start, and spared from then
    /// on. In the memo it always is.
    pub fn search_attributes(mut self, on: bool) -> Self {
        self.search_attributes = on;
        self
    }

    pub(crate) fn target(&self) -> &Url {
        &self.target
    }

    pub(crate) fn api_key(&self) -> Option<&SecretString> {
        self.api_key.as_ref()
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

fn target(rest: &str, with_tls: bool) -> Result<Url, TemporalConfigError> {
    let wrong = |why: &str| TemporalConfigError::Address(why.to_owned());
    let scheme = if with_tls { "https" } else { "http" };
    let mut url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it has a user"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a path"));
    }
    if !rest
        .trim_end_matches('/')
        .rsplit(']')
        .next()
        .is_some_and(|rest| rest.contains(':'))
    {
        // The port of Temporal's own frontends, and not that of the web.
        url.set_port(Some(7233)).map_err(|()| wrong("it has no host"))?;
    }
    Ok(url)
}

fn name(what: &'static str, name: &str) -> Result<String, TemporalConfigError> {
    let fits = (1..=200).contains(&name.len());
    fits.then(|| name.to_owned()).ok_or(TemporalConfigError::Name { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretString {
        "secret-key".into()
    }

    fn target_of(address: &str, key: Option<SecretString>) -> String {
        TemporalConfig::new(address, key, None).unwrap().target().to_string()
    }

    #[test]
    fn a_key_turns_tls_on_and_is_refused_without_it() {
        assert_eq!(
            target_of("temporal.example:7233", Some(key())),
            "https://temporal.example:7233/"
        );
        assert_eq!(
            target_of("https://temporal.example:443", Some(key())),
            "https://temporal.example/"
        );
        assert!(
            TemporalConfig::new("temporal.example:7233", Some(key()), None)
                .unwrap()
                .tls()
                .is_some()
        );
        let refused = TemporalConfig::new("http://temporal.example:7233", Some(key()), None).unwrap_err();
        assert_eq!(refused, TemporalConfigError::KeyWithoutTls);
        let refused = TemporalConfig::new("http://temporal.example:7233", None, Some(Tls::default())).unwrap_err();
        assert_eq!(refused, TemporalConfigError::CertificatesWithoutTls);
    }

    #[test]
    fn without_a_key_an_address_is_what_it_says() {
        assert_eq!(target_of("localhost:7233", None), "http://localhost:7233/");
        assert_eq!(target_of("localhost", None), "http://localhost:7233/");
        assert_eq!(target_of("[::1]", None), "http://[::1]:7233/");
        let config = TemporalConfig::new("https://temporal.example:7233", None, None).unwrap();
        assert!(config.tls().is_some());
        for wrong in [
            "",
            "grpc://host:7233",
            "http://host:7233/path",
            "http://user@host:7233",
            "host:port",
        ] {
            let refused = TemporalConfig::new(wrong, None, None);
            assert!(
                matches!(refused, Err(TemporalConfigError::Address(_))),
                "{wrong}: {refused:?}"
            );
        }
    }

    #[test]
    fn names_that_the_server_would_refuse_are_refused_here() {
        let config = || TemporalConfig::new("localhost:7233", None, None).unwrap();
        assert!(config().namespace("").is_err());
        assert!(config().task_queue(&"q".repeat(201)).is_err());
    }

    #[test]
    fn no_key_is_shown() {
        let tls = Tls {
            client: Some(ClientCertificate {
                certificate: String::new(),
                key: "secret-key".into(),
            }),
            ..Tls::default()
        };
        let config = TemporalConfig::new("localhost:7233", Some(key()), Some(tls)).unwrap();
        assert!(!format!("{config:?}").contains("secret-key"));
    }
}
