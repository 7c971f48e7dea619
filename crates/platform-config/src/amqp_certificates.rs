//! `AFTERCOMMIT_AMQP__*_FILE`: the certificates of a connection to RabbitMQ.

use crate::{
    amqp_url::{AmqpSecurity, AmqpServer},
    error::ConfigErrors,
    key::{Form, Key, Preset},
    pem_file::{self, PEM_CERTIFICATES, PEM_KEY, check_certificates, check_key},
    reading::Reading,
};
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Whom a server is trusted to be, and who this process is to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AmqpCertificates {
    /// The authorities that may have signed the server's certificate, besides those of the machine.
    pub ca_file: Option<PathBuf>,
    /// What this process shows when the server asks who it is.
    pub client: Option<AmqpClientFiles>,
}

/// The certificate of this process, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpClientFiles {
    /// The certificate, with what leads from it to the authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// What the files hold, in PEM.
#[derive(Debug, Default)]
pub struct AmqpPem {
    /// At least one certificate.
    pub ca: Option<String>,
    /// Who this process is.
    pub client: Option<AmqpClientPem>,
}

/// A certificate and its key, in PEM.
#[derive(Debug)]
pub struct AmqpClientPem {
    /// At least one certificate.
    pub cert: String,
    /// A private key without a passphrase.
    pub key: SecretString,
}

pub(crate) static KEYS: [Key; 3] = [
    Key::new(
        "amqp.ca_file",
        Form::Described(PEM_CERTIFICATES),
        Preset::Unset("the authorities that this machine trusts"),
        "The authorities that may have signed the server's certificate. Only with amqps.",
    ),
    Key::new(
        "amqp.client_cert_file",
        Form::Described(PEM_CERTIFICATES),
        Preset::Unset("the process shows no certificate"),
        "The certificate that this process shows. Only with amqps, and together with amqp.client_key_file.",
    ),
    Key::new(
        "amqp.client_key_file",
        Form::Described(PEM_KEY),
        Preset::Unset("the process shows no certificate"),
        "The private key of that certificate.",
    ),
];

impl AmqpCertificates {
    pub(crate) fn read(reading: &mut Reading<'_>, server: Option<&AmqpServer>) -> Self {
        let [ca, cert, key] = &KEYS;
        let ca_file = reading.path(ca);
        let cert_file = reading.path(cert);
        let key_file = reading.path(key);
        for (given, other, problem) in [
            (cert, key, "is given without amqp.client_key_file"),
            (key, cert, "is given without amqp.client_cert_file"),
        ] {
            if reading.is_given(given) && !reading.is_given(other) {
                reading.refuse("", given, problem);
            }
        }
        let problem = match server.map(|server| server.security) {
            Some(AmqpSecurity::Tls) => None,
            Some(AmqpSecurity::PlainLoopback | AmqpSecurity::InsecurePlainText) => {
                Some("is given, but AMQP_URL begins with amqp: and not with amqps:")
            }
            // A URL that is wrong may have meant amqps.
            None if AmqpServer::is_given(reading) => None,
            None => Some("is given, but AMQP_URL is not"),
        };
        if let Some(problem) = problem {
            for key in [ca, cert, key] {
                if reading.is_given(key) {
                    reading.refuse("", key, problem);
                }
            }
        }
        Self {
            ca_file,
            client: cert_file
                .zip(key_file)
                .map(|(cert_file, key_file)| AmqpClientFiles { cert_file, key_file }),
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Every file that is missing, unreadable, or holds something else, one line each. No line repeats what is in a file.
    pub fn load(&self) -> Result<AmqpPem, ConfigErrors> {
        let [ca, cert, key] = &KEYS;
        let mut problems = Vec::new();
        let pem = AmqpPem {
            ca: self
                .ca_file
                .as_deref()
                .and_then(|path| pem_file::text(ca, path, check_certificates, &mut problems)),
            client: self.client.as_ref().and_then(|client| {
                let cert = pem_file::text(cert, &client.cert_file, check_certificates, &mut problems);
                let key = pem_file::text(key, &client.key_file, check_key, &mut problems);
                cert.zip(key).map(|(cert, key)| AmqpClientPem { cert, key: key.into() })
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
        pem_file::open(&self.client.as_ref()?.key_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use std::ffi::OsString;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";

    fn load(directory: &Path) -> Result<Settings, ConfigErrors> {
        let file = |name: &str| OsString::from(directory.join(name));
        let pairs = [
            ("DATABASE_URL", "postgres://app@localhost/app".into()),
            ("AMQP_URL", "amqps://me:it@mq.example".into()),
            ("AFTERCOMMIT_SEALING__KEYS", format!("k1:{}=", "A".repeat(43)).into()),
            ("AFTERCOMMIT_AMQP__CA_FILE", file("ca.pem")),
            ("AFTERCOMMIT_AMQP__CLIENT_CERT_FILE", file("me.pem")),
            ("AFTERCOMMIT_AMQP__CLIENT_KEY_FILE", file("me.key")),
        ];
        Settings::load_from(pairs.map(|(name, value)| (name.into(), value)), directory)
    }

    fn write(directory: &Path, files: [&str; 3]) {
        for (name, text) in ["ca.pem", "me.pem", "me.key"].into_iter().zip(files) {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    #[test]
    fn every_file_that_cannot_be_used_is_refused_at_the_start_without_quoting_it() {
        let directory = tempfile::tempdir().unwrap();
        let refusal = || {
            let errors = load(directory.path()).unwrap_err();
            assert_eq!(errors.exit_code(), 78);
            errors
                .to_string()
                .replace(&directory.path().display().to_string(), "<directory>")
        };
        let missing = refusal();
        write(directory.path(), ["canary", PRIVATE_KEY, CERTIFICATE]);
        let mixed_up = refusal();
        let with_passphrase = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n";
        write(directory.path(), [CERTIFICATE, CERTIFICATE, with_passphrase]);
        let locked = refusal();
        let text = format!("{missing}\n{mixed_up}\n{locked}");
        assert!(!text.contains("canary"), "{text}");
        insta::assert_snapshot!(text, @r"
        AFTERCOMMIT_AMQP__CA_FILE (<directory>/ca.pem): the file does not exist; expected the path of a file with certificates in PEM
        AFTERCOMMIT_AMQP__CLIENT_CERT_FILE (<directory>/me.pem): the file does not exist; expected the path of a file with certificates in PEM
        AFTERCOMMIT_AMQP__CLIENT_KEY_FILE (<directory>/me.key): the file does not exist; expected the path of a file with a private key in PEM, without a passphrase
        AFTERCOMMIT_AMQP__CA_FILE (<directory>/ca.pem): holds no certificate; expected the path of a file with certificates in PEM
        AFTERCOMMIT_AMQP__CLIENT_CERT_FILE (<directory>/me.pem): holds no certificate; expected the path of a file with certificates in PEM
        AFTERCOMMIT_AMQP__CLIENT_KEY_FILE (<directory>/me.key): holds no private key; expected the path of a file with a private key in PEM, without a passphrase
        AFTERCOMMIT_AMQP__CLIENT_KEY_FILE (<directory>/me.key): holds a private key with a passphrase, which nobody is there to enter; expected the path of a file with a private key in PEM, without a passphrase
        ");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_may_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), [CERTIFICATE, CERTIFICATE, PRIVATE_KEY]);
        let key = directory.path().join("me.key");
        let warnings = |mode| {
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
            load(directory.path()).unwrap().warnings
        };
        let line = "me.key holds secrets and every user of this machine may read it; chmod 600 closes it";
        assert!(matches!(&warnings(0o644)[..], [warning] if warning.ends_with(line)));
        assert_eq!(warnings(0o600), Vec::<String>::new());
        let settings = load(directory.path()).unwrap();
        let pem = settings.amqp.unwrap().certificates.load().unwrap();
        assert_eq!(pem.ca.as_deref(), Some(CERTIFICATE));
        assert!(pem.client.as_ref().is_some_and(|client| client.cert == CERTIFICATE));
        assert!(!format!("{pem:?}").contains("canary"));
    }
}
