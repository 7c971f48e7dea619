//! `TEMPORAL_ADDRESS` and `AFTERCOMMIT_TEMPORAL__*`: the Temporal server that runs workflows.

use crate::{
    error::ConfigErrors,
    host::{is_host_character, is_loopback},
    key::{Form, Key, Preset},
    pem_file::{self, PEM_CERTIFICATES, PEM_KEY, check_certificates, check_key},
    reading::Reading,
};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// The Temporal server that runs workflows. `Debug` leaves the key out.
#[derive(Debug, Clone)]
pub struct TemporalSettings {
    /// A host name or an IP address, in a URL's brackets where it needs them.
    pub host: String,
    /// Defaults to 7233.
    pub port: u16,
    /// TLS; `None` without. It is on with a key, with certificates, with `https://`, and by `AFTERCOMMIT_TEMPORAL__TLS`.
    pub tls: Option<TemporalTls>,
    /// What this process shows the server. Never without TLS.
    pub api_key: Option<SecretString>,
    /// Defaults to `default`.
    pub namespace: String,
    /// Which workers run what is started here. Defaults to `aftercommit`.
    pub task_queue: String,
}

/// TLS to the Temporal server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemporalTls {
    /// The authorities that may have signed the server's certificate, instead of those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The name in the server's certificate; unset: that of the address.
    pub server_name: Option<String>,
    /// What this process shows when the server asks who it is.
    pub client: Option<TemporalClientFiles>,
}

/// The certificate of this process, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporalClientFiles {
    /// The certificate, with what leads from it to the authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// What the files hold, in PEM.
#[derive(Debug, Default)]
pub struct TemporalPem {
    /// At least one certificate.
    pub ca: Option<String>,
    /// The certificate of this process and its key.
    pub client: Option<(String, SecretString)>,
}

/// Temporal's own names of what we call otherwise: its tools read them too.
pub(crate) const ALSO: [(&str, &str); 3] = [
    ("TEMPORAL_NAMESPACE", "temporal.namespace"),
    ("TEMPORAL_TASK_QUEUE", "temporal.task_queue"),
    ("TEMPORAL_API_KEY", "temporal.api_key"),
];

const NAME: Form = Form::Described("1 to 200 characters without spaces");

pub(crate) static KEYS: [Key; 9] = [
    Key::new(
        "temporal_address",
        Form::Described("host:port, http://host:port or https://host:port without a path, such as 127.0.0.1:7233"),
        Preset::Unset("no engine runs workflows; what is to be started waits"),
        "The Temporal server that runs workflows. Without a port it is 7233.",
    )
    .variable("TEMPORAL_ADDRESS"),
    Key::new(
        "temporal.namespace",
        NAME,
        Preset::Value("default"),
        "The namespace on that server. Also as TEMPORAL_NAMESPACE.",
    ),
    Key::new(
        "temporal.task_queue",
        NAME,
        Preset::Value("aftercommit"),
        "The task queue that workflows are started on, and that a process of workflows takes from. Also as \
         TEMPORAL_TASK_QUEUE.",
    ),
    Key::new(
        "temporal.api_key",
        Form::Described("1 to 4096 printable ASCII characters without spaces"),
        Preset::Unset("the process shows no key"),
        "The key that this process shows the server, over TLS only. Also as TEMPORAL_API_KEY.",
    )
    .secret(),
    Key::new(
        "temporal.tls",
        Form::Choice(&["auto", "true", "false"]),
        Preset::Value("auto"),
        "Whether the connection has TLS; auto: with https://, with a key and with certificates.",
    ),
    Key::new(
        "temporal.tls_ca_file",
        Form::Described(PEM_CERTIFICATES),
        Preset::Unset("the authorities that this machine trusts"),
        "The authorities that may have signed the server's certificate.",
    ),
    Key::new(
        "temporal.tls_server_name",
        NAME,
        Preset::Unset("the host of the address"),
        "The name in the server's certificate.",
    ),
    Key::new(
        "temporal.tls_client_cert_file",
        Form::Described(PEM_CERTIFICATES),
        Preset::Unset("the process shows no certificate"),
        "The certificate that this process shows. Together with temporal.tls_client_key_file.",
    ),
    Key::new(
        "temporal.tls_client_key_file",
        Form::Described(PEM_KEY),
        Preset::Unset("the process shows no certificate"),
        "The private key of that certificate.",
    ),
];

/// Whether TLS is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Auto,
    Yes,
    No,
}

/// The address, read.
#[derive(Debug)]
struct Address {
    /// What its scheme says of TLS.
    wanted: Wanted,
    host: String,
    port: u16,
}

impl TemporalSettings {
    /// `None` without an address, or with one that cannot be used.
    pub(crate) fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let [
            address_key,
            namespace,
            task_queue,
            api_key,
            tls_key,
            ca,
            server_name,
            cert,
            key,
        ] = &KEYS;
        let is_given = reading.is_given(address_key);
        // Read in any case, so that a bad value is found and the defaults are shown.
        let address = reading.parsed(address_key, parse, Address::shown);
        let namespace = reading.parsed(namespace, name, String::clone);
        let task_queue = reading.parsed(task_queue, name, String::clone);
        let secret = reading.secret(api_key, check_key_text);
        let wanted = reading.choice(tls_key, &[Wanted::Auto, Wanted::Yes, Wanted::No]);
        let ca_file = reading.path(ca);
        let server_name = reading.parsed(server_name, name, String::clone);
        let (cert_file, key_file) = (reading.path(cert), reading.path(key));
        for (given, other, problem) in [
            (cert, key, "is given without temporal.tls_client_key_file"),
            (key, cert, "is given without temporal.tls_client_cert_file"),
        ] {
            if reading.is_given(given) && !reading.is_given(other) {
                reading.refuse("", given, problem);
            }
        }
        let of_tls = &KEYS[5..];
        if !is_given {
            for key in std::iter::once(api_key).chain(of_tls) {
                if reading.is_given(key) {
                    reading.refuse("", key, "is given, but TEMPORAL_ADDRESS is not");
                }
            }
        }
        let address = address?;
        let plain = match (address.wanted, wanted) {
            (Wanted::Yes, Wanted::No) => {
                let problem = "is false, but TEMPORAL_ADDRESS begins with https://";
                reading.refuse_expecting(tls_key, problem, "true, or it to be unset");
                None
            }
            (Wanted::No, Wanted::Yes) => {
                let problem = "is true, but TEMPORAL_ADDRESS begins with http://";
                reading.refuse_expecting(tls_key, problem, "https:// in TEMPORAL_ADDRESS, or it to be unset");
                None
            }
            (Wanted::No, _) => Some("TEMPORAL_ADDRESS begins with http://"),
            (_, Wanted::No) => Some("AFTERCOMMIT_TEMPORAL__TLS is false"),
            (Wanted::Yes | Wanted::Auto, Wanted::Yes | Wanted::Auto) => None,
        };
        if let Some(why) = plain {
            for key in std::iter::once(api_key).chain(of_tls) {
                if reading.is_given(key) {
                    let problem = format!("needs TLS, but {why}");
                    reading.refuse_expecting(key, &problem, "https:// in TEMPORAL_ADDRESS, or it to be unset");
                }
            }
        }
        let asks = secret.is_some() || ca_file.is_some() || server_name.is_some() || cert_file.is_some();
        let with_tls = plain.is_none() && (asks || address.wanted == Wanted::Yes || wanted == Wanted::Yes);
        Some(Self {
            host: address.host,
            port: address.port,
            tls: with_tls.then(|| TemporalTls {
                ca_file,
                server_name,
                client: cert_file
                    .zip(key_file)
                    .map(|(cert_file, key_file)| TemporalClientFiles { cert_file, key_file }),
            }),
            api_key: secret,
            namespace: namespace.unwrap_or_default(),
            task_queue: task_queue.unwrap_or_default(),
        })
    }

    /// The address as a URL, by whose scheme a client knows whether there is TLS.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Every file that is missing, unreadable, or holds something else, one line each. No line repeats what is in a file.
    pub fn load(&self) -> Result<TemporalPem, ConfigErrors> {
        let [.., ca, _, cert, key] = &KEYS;
        let mut problems = Vec::new();
        let tls = self.tls.clone().unwrap_or_default();
        let pem = TemporalPem {
            ca: tls
                .ca_file
                .and_then(|path| pem_file::text(ca, &path, check_certificates, &mut problems)),
            client: tls.client.and_then(|client| {
                let cert = pem_file::text(cert, &client.cert_file, check_certificates, &mut problems);
                let key = pem_file::text(key, &client.key_file, check_key, &mut problems);
                cert.zip(key.map(SecretString::from))
            }),
        };
        if problems.is_empty() {
            Ok(pem)
        } else {
            Err(ConfigErrors::new(problems))
        }
    }

    /// The file of the private key, if every user of the machine may read it.
    pub(crate) fn open_key_file(&self) -> Option<&Path> {
        pem_file::open(&self.tls.as_ref()?.client.as_ref()?.key_file)
    }

    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.tls.is_none() && !is_loopback(self.host.trim_matches(['[', ']']))).then(|| {
            format!(
                "TEMPORAL_ADDRESS: inputs and results of workflows go to {} without TLS, where everybody on the way can \
                 read and change them; https:// closes it",
                self.host
            )
        })
    }
}

impl Address {
    fn shown(&self) -> String {
        let scheme = match self.wanted {
            Wanted::Auto => "",
            Wanted::Yes => "https://",
            Wanted::No => "http://",
        };
        format!("{scheme}{}:{}", self.host, self.port)
    }
}

/// Reads the address. What is wrong is said without repeating the text.
fn parse(text: &str) -> Result<Address, String> {
    const DEFAULT_PORT: u16 = 7233;
    let (wanted, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Wanted::No, rest),
        Some(("https", rest)) => (Wanted::Yes, rest),
        Some(_) => return Err("begins with another scheme".to_owned()),
        None => (Wanted::Auto, text),
    };
    // A scheme without a port of its own, so that any port that is written is kept.
    let url = Url::parse(&format!("temporal://{rest}")).map_err(|_| "is not an address".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user; the key is AFTERCOMMIT_TEMPORAL__API_KEY".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("has more than a host and a port".to_owned());
    }
    let host = match url.host() {
        Some(Host::Domain(host)) if !host.is_empty() && host.chars().all(is_host_character) => host.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        Some(Host::Domain(_)) | None => return Err("has no host".to_owned()),
    };
    if url.port() == Some(0) {
        return Err("has the port 0".to_owned());
    }
    Ok(Address {
        wanted,
        host,
        port: url.port().unwrap_or(DEFAULT_PORT),
    })
}

fn name(text: &str) -> Result<String, String> {
    if text.len() > 200 {
        return Err("is longer than 200 bytes".to_owned());
    }
    if text
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return Err("has a space".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that is not ASCII".to_owned());
    }
    Ok(text.to_owned())
}

/// The key travels in a header.
fn check_key_text(key: &str) -> Result<(), String> {
    if key.len() > 4096 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("cannot be sent in a header".to_owned());
    }
    Ok(())
}
