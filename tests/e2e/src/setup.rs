//! How a process is configured.

use std::path::Path;

/// The environment of a process: small delays, every log line, and nothing of whoever runs the tests.
#[derive(Debug, Clone)]
pub struct Setup {
    variables: Vec<(String, String)>,
}

impl Default for Setup {
    /// E-mails become files; the log is at `debug`.
    fn default() -> Self {
        Self { variables: Vec::new() }
            .set("HTTP_ADDR", "127.0.0.1:0")
            .set("AFTERCOMMIT_LOG__FILTER", "debug")
    }
}

impl Setup {
    /// E-mails go to the server at this address.
    pub fn smtp(address: std::net::SocketAddr) -> Self {
        Self::default().set("SMTP_URL", &format!("smtp://{address}"))
    }

    /// E-mails are tried again soon, so that a test need not wait for the minutes that fit a real mail server.
    pub fn impatient(mut self) -> Self {
        for topic in ["INVITATION_EMAIL", "MAGIC_LINK_EMAIL"] {
            self = self
                .set(&format!("AFTERCOMMIT_TOPICS__{topic}__BASE_DELAY"), "100ms")
                .set(&format!("AFTERCOMMIT_TOPICS__{topic}__MAX_DELAY"), "400ms")
                .set(&format!("AFTERCOMMIT_TOPICS__{topic}__MAX_ATTEMPTS"), "1000");
        }
        self
    }

    /// Sets a variable.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn environment(&self, data: &Path) -> Vec<(String, String)> {
        let mut variables = self.variables.clone();
        variables.push(("AFTERCOMMIT_DATA_DIR".to_owned(), data.to_str().unwrap().to_owned()));
        variables
    }
}
