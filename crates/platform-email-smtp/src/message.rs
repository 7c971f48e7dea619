//! From an [`Email`] to the bytes that are sent.

use std::time::{Duration, SystemTime};

use aftercommit_domain::effects::{Email, EmailError, IdempotencyKey};
use aftercommit_domain::time::Timestamp;
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::mail_from::{MailFrom, lettre_address};

/// A file name may have 255 bytes, of which a draft's ending needs some.
const MAX_NAME: usize = 200;

/// Everything else would need quotes in a Message-ID or could leave the folder as a file name.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Both parts are quoted-printable, where an underscore never follows an equals sign: no e-mail can hold this.
const BOUNDARY: &str = "=_aftercommit_alternative";

/// The last second a date with a year of four digits can name.
const MAX_DATE: u64 = 253_402_300_799;

/// A message that can be handed over.
pub(crate) struct Message {
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Headers and body: ASCII only, with CRLF at the end of each line.
    pub(crate) bytes: Vec<u8>,
}

/// Builds the message. The same e-mail, key and time give the same bytes.
pub(crate) fn build(
    from: &MailFrom,
    email: &Email,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Message, EmailError> {
    let to = lettre_address(&email.to).ok_or_else(|| refused("the recipient's address cannot be written"))?;
    let subject = email.subject.trim();
    if subject.chars().any(char::is_control) {
        return Err(refused("the subject has more than one line, or control characters"));
    }
    let part = |content_type: ContentType, body: &str| {
        SinglePart::builder()
            .header(content_type)
            .header(ContentTransferEncoding::QuotedPrintable)
            .body(body.to_owned())
    };
    let message = lettre::Message::builder()
        .from(from.mailbox().clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(subject)
        .date(date(now))
        .message_id(Some(format!("<{}@{}>", name(key)?, from.domain())))
        // Out-of-office replies to a machine help nobody (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(
            MultiPart::alternative()
                .boundary(BOUNDARY)
                .singlepart(part(ContentType::TEXT_PLAIN, &email.text))
                .singlepart(part(ContentType::TEXT_HTML, &email.html)),
        )
        // Its words could name an address.
        .map_err(|_| refused("the message cannot be built"))?;
    Ok(Message {
        from: from.mailbox().email.clone(),
        to,
        bytes: message.formatted(),
    })
}

/// The key as part of a Message-ID and as a file name: different keys have different names.
pub(crate) fn name(key: &IdempotencyKey) -> Result<String, EmailError> {
    let name = utf8_percent_encode(key.as_str(), &ENCODED).to_string();
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') {
        return Err(refused("the idempotency key is empty, too long, or starts with a dot"));
    }
    Ok(name)
}

fn refused(reason: &str) -> EmailError {
    EmailError::Refused {
        reason: reason.to_owned(),
    }
}

/// The formatter panics at times before 1970 and after 9999.
fn date(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default().min(MAX_DATE);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::EmailAddress;
    use aftercommit_domain::ids::MessageId;
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const FROM: &str = "Käse, Acme <no-reply@acme.example>";

    fn from() -> MailFrom {
        MailFrom::parse(&FROM.replace("Käse, Acme", "\"Käse, Acme\"")).unwrap()
    }

    fn email() -> Email {
        Email {
            to: EmailAddress::new("reader@example.com").unwrap(),
            subject: "Grüße from Acme".into(),
            text: "Hello\n.\nhttps://acme.example/l?token=abc\nFrom here on: ß\n".into(),
            html: "<p>Hello ß</p>".into(),
        }
    }

    fn key() -> IdempotencyKey {
        IdempotencyKey::from(MessageId::from(Uuid::from_u128(1)))
    }

    fn now() -> Timestamp {
        DateTime::from_timestamp_secs(1_700_000_000).unwrap()
    }

    fn text_of(message: &Message) -> String {
        String::from_utf8(message.bytes.clone()).unwrap()
    }

    #[test]
    fn the_message_has_the_headers_that_identify_it() {
        let text = text_of(&build(&from(), &email(), &key(), now()).unwrap());
        for line in [
            "To: reader@example.com\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "Message-ID: <00000000-0000-0000-0000-000000000001@acme.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("<no-reply@acme.example>\r\n"), "{text}");
        assert!(!text.contains("Bcc"), "{text}");
    }

    #[test]
    fn the_same_email_key_and_time_give_the_same_bytes() {
        let build = || build(&from(), &email(), &key(), now()).unwrap().bytes;
        assert_eq!(build(), build());
    }

    #[test]
    fn a_second_line_in_the_subject_is_refused_and_not_repeated() {
        for subject in ["Hi\r\nBcc: other@example.com", "Hi\nthere", "Hi\0"] {
            let email = Email {
                subject: subject.into(),
                ..email()
            };
            let error = build(&from(), &email, &key(), now()).err().unwrap();
            assert!(matches!(&error, EmailError::Refused { .. }), "{error}");
            assert!(!error.to_string().contains("Hi"), "{error}");
        }
    }

    #[test]
    fn a_line_end_a_template_left_at_the_end_of_the_subject_does_no_harm() {
        let email = Email {
            subject: "Hi\n".into(),
            ..email()
        };
        assert!(text_of(&build(&from(), &email, &key(), now()).unwrap()).contains("Subject: Hi\r\n"));
    }

    #[test]
    fn a_key_with_unusual_steps_stays_one_name() {
        let name = |step: &str| name(&key().step(step));
        assert!(
            name("../../etc/passwd")
                .unwrap()
                .ends_with("001...%2F..%2Fetc%2Fpasswd")
        );
        assert!(name("a> <b@c").unwrap().ends_with(".a%3E%20%3Cb%40c"));
        assert_ne!(name("a b").unwrap(), name("a%20b").unwrap());
        assert!(matches!(name(&"x".repeat(200)), Err(EmailError::Refused { .. })));
    }

    #[test]
    fn a_time_no_date_can_name_does_not_panic() {
        for time in [Timestamp::MIN_UTC, Timestamp::MAX_UTC] {
            assert!(build(&from(), &email(), &key(), time).is_ok());
        }
    }

    proptest! {
        #[test]
        fn any_email_becomes_ascii_in_short_lines_with_one_boundary(
            subject in "\\PC{0,200}",
            text in "(?s).{0,600}",
            html in "(\\PC|=_aftercommit_alternative|\r|\n|\\.){0,300}",
        ) {
            let email = Email { subject, text, html, ..email() };
            let message = text_of(&build(&from(), &email, &key(), now()).unwrap());
            prop_assert!(message.is_ascii());
            prop_assert!(message.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
            prop_assert_eq!(message.matches(&format!("--{BOUNDARY}")).count(), 3);
            let (head, _) = message.split_once("\r\n\r\n").unwrap();
            let headers = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).count();
            prop_assert_eq!(headers, 8, "{}", head);
        }
    }
}
