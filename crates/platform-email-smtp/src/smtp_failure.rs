//! Why an e-mail was not handed over, in words that hold nothing personal.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use aftercommit_domain::effects::{Email, EmailError};
use aftercommit_domain::failure::bounded_text;
use lettre::transport::smtp;

/// The longest text that is kept of what a server or the system said, in characters.
const MAX_WORDS: usize = 300;

/// Codes about the login rather than the message: all e-mails would get them until somebody mends the settings.
const LOGIN_CODES: [u16; 5] = [530, 534, 535, 538, 454];

/// What was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Connect,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    /// From here on, the server may have taken the message although its answer never came.
    Message,
}

/// A conversation that did not end as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SmtpFailure {
    /// The server said no.
    Answer { step: Step, code: u16, words: String },
    /// The server said something that has no place here.
    Unexpected { step: Step, code: u16 },
    /// The connection failed, or what came was no SMTP.
    Broken { step: Step, reason: String },
    /// No answer in time.
    TimedOut { step: Step, after: Duration },
    /// Not done within the deadline of the whole.
    Late { after: Duration, in_doubt: bool },
    /// The sender was closed.
    Closed,
}

impl SmtpFailure {
    pub(crate) fn new(step: Step, error: &smtp::Error) -> Self {
        if let Some(code) = error.status() {
            return Self::Answer {
                step,
                code: code.into(),
                words: error.source().map(ToString::to_string).unwrap_or_default(),
            };
        }
        // The parser's words quote the server's, so they are not kept.
        let reason = if error.is_response() {
            "the server's answer was cut off or is not SMTP".to_owned()
        } else {
            innermost(error)
        };
        Self::Broken { step, reason }
    }

    /// The error of the port. `email` is what the words must not repeat.
    pub(crate) fn into_email_error(self, email: &Email) -> EmailError {
        self.told(Some(email))
    }

    /// The same, where no e-mail was at hand.
    pub(crate) fn without_email(self) -> EmailError {
        self.told(None)
    }

    fn told(self, email: Option<&Email>) -> EmailError {
        let is_refusal = self.is_refusal();
        let reason = match self {
            Self::Answer { step, code, words } => {
                let words = match email {
                    Some(email) => without_the_email(&words, email),
                    None => without_addresses(&words),
                };
                format!("{code} {words} (after {})", step.words())
            }
            Self::Unexpected { step, code } => {
                format!("the unexpected answer {code} (after {})", step.words())
            }
            Self::Broken { step, reason } => {
                let reason = without_addresses(&reason);
                format!("{reason} (during {}){}", step.words(), step.doubt())
            }
            Self::TimedOut { step, after } => {
                format!("no answer within {after:?} (during {}){}", step.words(), step.doubt())
            }
            Self::Late { after, in_doubt } => {
                format!("not done within {after:?}{}", doubt(in_doubt))
            }
            Self::Closed => "the e-mail sender was closed".to_owned(),
        };
        if is_refusal {
            EmailError::Refused { reason }
        } else {
            EmailError::Unavailable { reason }
        }
    }

    fn is_refusal(&self) -> bool {
        match self {
            Self::Answer { step, code, .. } => {
                step.is_about_the_message() && *code >= 500 && !LOGIN_CODES.contains(code)
            }
            Self::Unexpected { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Late { .. }
            | Self::Closed => false,
        }
    }
}

impl Step {
    const fn is_about_the_message(self) -> bool {
        match self {
            Self::Connect | Self::StartTls | Self::Login => false,
            Self::Sender | Self::Recipient | Self::Data | Self::Message => true,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
        }
    }

    const fn doubt(self) -> &'static str {
        match self {
            Self::Message => doubt(true),
            Self::Connect | Self::StartTls | Self::Login | Self::Sender | Self::Recipient | Self::Data => doubt(false),
        }
    }
}

const fn doubt(in_doubt: bool) -> &'static str {
    if in_doubt {
        "; the server may have taken the message"
    } else {
        ""
    }
}

/// The words of the innermost source: the outer ones only repeat them.
fn innermost(error: &smtp::Error) -> String {
    let mut innermost: &dyn Error = error;
    // Deeper than any chain of the libraries below.
    for _ in 0..8 {
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    innermost.to_string()
}

/// What a server said, without anything it may have taken from the e-mail.
///
/// Servers repeat addresses, links and subjects in their refusals. Kept are plain words that the e-mail does not hold,
/// and codes such as `5.1.1`; each run of others becomes `…`.
fn without_the_email(words: &str, email: &Email) -> String {
    let own: HashSet<String> = [email.to.as_str(), &email.subject, &email.text, &email.html]
        .into_iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let is_kept = |word: &str| {
        let word = word.trim_matches(|c: char| ".,:;!?()'\"".contains(c));
        let is_plain = !word.is_empty() && word.len() <= 20 && word.bytes().all(|b| b.is_ascii_alphabetic());
        is_enhanced_code(word) || (is_plain && !own.contains(&word.to_lowercase()))
    };
    filtered(words, is_kept)
}

/// What the system or a library said, without anything like an address.
fn without_addresses(words: &str) -> String {
    filtered(words, |word| !word.contains('@'))
}

fn filtered(words: &str, is_kept: impl Fn(&str) -> bool) -> String {
    let mut kept = Vec::new();
    let mut length = 0;
    for word in words.split_whitespace() {
        let word = if is_kept(word) { word } else { "…" };
        if word == "…" && kept.last() == Some(&"…") {
            continue;
        }
        length += word.len() + 1;
        if length > MAX_WORDS {
            break;
        }
        kept.push(word);
    }
    bounded_text(&kept.join(" "))
}

/// A class of 2, 4 or 5 and two numbers of up to three digits (RFC 3463).
fn is_enhanced_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    matches!(parts[..], [class, subject, detail]
        if matches!(class, "2" | "4" | "5") && is_number(subject) && is_number(detail))
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::EmailAddress;
    use proptest::prelude::*;

    use super::*;

    fn email() -> Email {
        Email {
            to: EmailAddress::new("jane.doe+x@corp.example").unwrap(),
            subject: "Sign in to Acme".into(),
            text: "Follow https://acme.example/l?token=s3cr3t within an hour".into(),
            html: "<p>Welcome back</p>".into(),
        }
    }

    fn answer(code: u16, words: &str) -> EmailError {
        let step = Step::Recipient;
        SmtpFailure::Answer {
            step,
            code,
            words: words.into(),
        }
        .into_email_error(&email())
    }

    #[test]
    fn what_a_server_repeats_of_the_email_is_left_out_and_its_own_words_stay() {
        for (words, expected) in [
            (
                "5.1.1 <jane.doe+x@corp.example>: User unknown in virtual alias table",
                "550 5.1.1 … User unknown … virtual alias table (after RCPT TO)",
            ),
            (
                "5.1.1 jane.doe does not exist",
                "550 5.1.1 … does not exist (after RCPT TO)",
            ),
            ("No user doe here", "550 No user … here (after RCPT TO)"),
            ("jane.doe+x=40corp.example rejected", "550 … rejected (after RCPT TO)"),
            (
                "blocked: https://acme.example/l?token=s3cr3t",
                "550 blocked: … (after RCPT TO)",
            ),
            ("token s3cr3t seen", "550 … seen (after RCPT TO)"),
            (
                "subject 'Sign in to Acme' is spam",
                "550 subject … is spam (after RCPT TO)",
            ),
            ("5.7.1 said 'Welcome back'", "550 5.7.1 said … (after RCPT TO)"),
            ("", "550  (after RCPT TO)"),
        ] {
            let EmailError::Refused { reason } = answer(550, words) else {
                panic!("{words}")
            };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn only_a_permanent_answer_about_the_message_is_a_refusal() {
        for (step, code, is_refusal) in [
            (Step::Sender, 550, true),
            (Step::Recipient, 550, true),
            (Step::Data, 554, true),
            (Step::Message, 552, true),
            (Step::Recipient, 450, false),
            (Step::Message, 451, false),
            (Step::Sender, 421, false),
            // The settings are wrong, not the message.
            (Step::Connect, 554, false),
            (Step::StartTls, 502, false),
            (Step::Login, 535, false),
            (Step::Sender, 530, false),
        ] {
            let words = String::new();
            let error = SmtpFailure::Answer { step, code, words }.into_email_error(&email());
            assert_eq!(
                matches!(error, EmailError::Refused { .. }),
                is_refusal,
                "{step:?} {code}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_long_text_or_one_with_an_address(words in "(?s).{0,2000}", address in "[a-z.]{1,9}@[a-z]{1,9}\\.example") {
            for words in [words.clone(), format!("{words}{address}{words}"), format!("{words} <{address}> {words}")] {
                for error in [
                    answer(550, &words),
                    SmtpFailure::Broken { step: Step::Connect, reason: words }.into_email_error(&email()),
                ] {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains('@') && !shown.contains(&address), "{}", shown);
                    prop_assert!(shown.len() < 4 * MAX_WORDS, "{}", shown);
                }
            }
        }
    }
}
