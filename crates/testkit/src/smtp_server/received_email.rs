//! What the server kept.

use std::fmt;

use super::mime;

/// An e-mail a server accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedEmail {
    /// The sender in `MAIL FROM`.
    pub from: String,
    /// The recipients in `RCPT TO`.
    pub to: Vec<String>,
    /// The `Message-ID` without its brackets, or nothing.
    pub message_id: String,
    /// The subject, decoded.
    pub subject: String,
    /// Headers and body as they came, with dots unstuffed.
    pub data: String,
}

impl ReceivedEmail {
    pub(super) fn new(from: String, to: Vec<String>, data: Vec<u8>) -> Self {
        let data =
            String::from_utf8(data).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let header = |name| mime::header(&data, name).unwrap_or_default();
        Self {
            from,
            to,
            message_id: header("Message-ID").trim_matches(['<', '>']).to_owned(),
            subject: header("Subject"),
            data,
        }
    }

    /// A header of the message, unfolded and decoded. Upper and lower case do not matter.
    pub fn header(&self, name: &str) -> Option<String> {
        mime::header(&self.data, name)
    }

    /// The decoded text for readers without HTML.
    pub fn text(&self) -> Option<String> {
        mime::part(&self.data, "text/plain")
    }

    /// The decoded HTML.
    pub fn html(&self) -> Option<String> {
        mime::part(&self.data, "text/html")
    }
}

impl fmt::Debug for ReceivedEmail {
    /// Without the body, which would drown a failed assertion.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedEmail")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("message_id", &self.message_id)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
