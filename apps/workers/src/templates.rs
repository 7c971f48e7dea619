//! What the e-mails say: a subject, a text and an HTML body each, compiled into this program.

use std::fmt::Write as _;

use aftercommit_domain::effects::{Email, EmailAddress};
use aftercommit_domain::failure::{Classified, ErrorClass};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Output, UndefinedBehavior, escape_formatter};
use serde::Serialize;

/// The templates of all e-mails.
pub struct Templates {
    environment: Environment<'static>,
}

/// A template cannot be read or rendered.
#[derive(Debug, thiserror::Error)]
#[error("the template {name}: {reason}")]
pub struct TemplateError {
    name: &'static str,
    /// The kind of problem and its place; never a value, which may be a secret.
    reason: String,
}

impl Classified for TemplateError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }

    fn code(&self) -> &'static str {
        "template.invalid"
    }
}

/// What the e-mail of an invitation is filled with.
#[derive(Serialize)]
pub(crate) struct InvitationValues<'a> {
    pub(crate) organization_name: &'a str,
    pub(crate) role: &'a str,
    pub(crate) url: &'a str,
    pub(crate) expires_at: &'a str,
}

/// What the e-mail with a magic link is filled with.
#[derive(Serialize)]
pub(crate) struct MagicLinkValues<'a> {
    pub(crate) signs_up: bool,
    pub(crate) url: &'a str,
    pub(crate) expires_at: &'a str,
}

/// What the e-mail of a notification is filled with.
#[derive(Serialize)]
pub(crate) struct NotificationValues {
    pub(crate) project_name: String,
    pub(crate) headline: String,
    pub(crate) lines: Vec<String>,
    pub(crate) notification_id: String,
}

/// The three parts of one e-mail.
struct Parts {
    subject: &'static str,
    text: &'static str,
    html: &'static str,
}

macro_rules! parts {
    ($constant:ident, $folder:literal) => {
        const $constant: Parts = Parts {
            subject: concat!($folder, "/subject.txt.j2"),
            text: concat!($folder, "/body.txt.j2"),
            html: concat!($folder, "/body.html.j2"),
        };
    };
}

parts!(INVITATION, "invitation");
parts!(MAGIC_LINK, "magic-link");
parts!(NOTIFICATION, "notification");

macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("../templates/", $name)))
    };
}

const SOURCES: [(&str, &str); 9] = [
    source!("invitation/subject.txt.j2"),
    source!("invitation/body.txt.j2"),
    source!("invitation/body.html.j2"),
    source!("magic-link/subject.txt.j2"),
    source!("magic-link/body.txt.j2"),
    source!("magic-link/body.html.j2"),
    source!("notification/subject.txt.j2"),
    source!("notification/body.txt.j2"),
    source!("notification/body.html.j2"),
];

impl Templates {
    /// Reads all templates and renders each once.
    ///
    /// # Errors
    /// The first one that cannot be rendered.
    pub fn load() -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html.j2") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        environment.set_formatter(|out, state, value| match value.as_str() {
            Some(text) if *state.auto_escape() == AutoEscape::Html && !value.is_safe() => Ok(write_html(out, text)?),
            _ => escape_formatter(out, state, value),
        });
        for (name, source) in SOURCES {
            environment
                .add_template(name, source)
                .map_err(|error| TemplateError::of(name, &error))?;
        }
        let templates = Self { environment };
        templates.render_samples()?;
        Ok(templates)
    }

    /// The e-mail of an invitation.
    pub(crate) fn invitation(&self, to: EmailAddress, values: &InvitationValues<'_>) -> Result<Email, TemplateError> {
        self.email(&INVITATION, to, values)
    }

    /// The e-mail with a magic link.
    pub(crate) fn magic_link(&self, to: EmailAddress, values: &MagicLinkValues<'_>) -> Result<Email, TemplateError> {
        self.email(&MAGIC_LINK, to, values)
    }

    /// The e-mail of a notification.
    pub(crate) fn notification(&self, to: EmailAddress, values: &NotificationValues) -> Result<Email, TemplateError> {
        self.email(&NOTIFICATION, to, values)
    }

    fn email(&self, parts: &Parts, to: EmailAddress, values: impl Serialize) -> Result<Email, TemplateError> {
        let values = Value::from(Serde(values));
        let render = |name: &'static str| {
            self.environment
                .get_template(name)
                .and_then(|template| template.render(values.clone()))
                .map_err(|error| TemplateError::of(name, &error))
        };
        Ok(Email {
            to,
            // A subject is one line, whatever the template's file ends with.
            subject: render(parts.subject)?.split_whitespace().collect::<Vec<_>>().join(" "),
            text: render(parts.text)?,
            html: render(parts.html)?,
        })
    }

    fn render_samples(&self) -> Result<(), TemplateError> {
        let Ok(to) = EmailAddress::new("sample@example.com") else {
            return Ok(());
        };
        let (url, expires_at) = ("https://example.com/#sample", "1 January 2026, 00:00 UTC");
        self.invitation(
            to.clone(),
            &InvitationValues {
                organization_name: "Sample",
                role: "member",
                url,
                expires_at,
            },
        )?;
        self.notification(
            to.clone(),
            &NotificationValues {
                project_name: "Sample".into(),
                headline: "Something happened".into(),
                lines: vec!["Since yesterday.".into()],
                notification_id: "0".into(),
            },
        )?;
        for signs_up in [false, true] {
            self.magic_link(
                to.clone(),
                &MagicLinkValues {
                    signs_up,
                    url,
                    expires_at,
                },
            )?;
        }
        Ok(())
    }
}

/// Escapes what HTML gives a meaning to. The library's own escapes slashes too, which makes a link hard to read.
fn write_html(out: &mut Output<'_>, text: &str) -> std::fmt::Result {
    for character in text.chars() {
        match character {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}

impl TemplateError {
    fn of(name: &'static str, error: &minijinja::Error) -> Self {
        let line = error.line().map_or_else(String::new, |line| format!(" in line {line}"));
        Self {
            name,
            reason: format!("{}{line}", error.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(organization_name: &str) -> Email {
        let values = InvitationValues {
            organization_name,
            role: "admin",
            url: "https://product.test/join#token",
            expires_at: "1 January 2026, 00:00 UTC",
        };
        let to = EmailAddress::new("ada@example.com").unwrap();
        Templates::load().unwrap().invitation(to, &values).unwrap()
    }

    #[test]
    fn a_name_in_the_html_is_escaped_and_in_the_text_it_is_as_it_is() {
        let email = invitation("<b>Ada & Co</b>");
        assert!(invitation("\"'").html.contains("&quot;&#39;"));
        assert!(!email.html.contains("<b>Ada"), "{}", email.html);
        assert!(email.html.contains("&lt;b&gt;Ada &amp; Co"));
        assert!(email.text.contains("<b>Ada & Co</b>"));
    }

    #[test]
    fn a_subject_is_one_line_and_both_bodies_hold_the_link() {
        let email = invitation("Acme");
        assert_eq!(email.subject, "You are invited to Acme");
        assert!(email.text.contains("https://product.test/join#token"));
        let html = email.html;
        assert!(html.contains("href=\"https://product.test/join#token\""), "{html}");
    }

    #[test]
    fn a_magic_link_says_whether_it_signs_in_or_up() {
        let templates = Templates::load().unwrap();
        let subject = |signs_up| {
            let values = MagicLinkValues {
                signs_up,
                url: "https://product.test/sign-in#token",
                expires_at: "soon",
            };
            let to = EmailAddress::new("ada@example.com").unwrap();
            templates.magic_link(to, &values).unwrap().subject
        };
        assert_eq!(subject(false), "Your sign-in link");
        assert_eq!(subject(true), "Finish signing up");
    }
}
