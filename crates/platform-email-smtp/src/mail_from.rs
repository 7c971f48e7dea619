//! Whom the e-mails come from.

use std::str::FromStr;

use aftercommit_domain::effects::EmailAddress;
use lettre::Address;
use lettre::message::Mailbox;

/// The sender of every e-mail: `name@example.com`, `Acme <name@example.com>` or `"Acme, Inc." <name@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    name: Option<String>,
    address: EmailAddress,
    /// The same as lettre has it.
    mailbox: Mailbox,
}

/// The text names no sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sender of e-mails must be an address, or a name and an address such as Acme <no-reply@acme.example>; a name \
     with special characters stands in double quotes"
)]
pub struct InvalidMailFrom;

impl MailFrom {
    /// Reads a sender.
    ///
    /// # Errors
    /// The address is none, or the name has control characters, or special ones outside of double quotes.
    pub fn parse(text: &str) -> Result<Self, InvalidMailFrom> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let special: &[char] = if quoted.is_some() {
            &['"', '\\']
        } else {
            &['"', '\\', ',', ';', ':', '@', '<', '>', '(', ')', '[', ']']
        };
        let name = quoted.unwrap_or(name);
        if name.contains(special) || name.chars().any(char::is_control) {
            return Err(InvalidMailFrom);
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        let address = EmailAddress::new(address).map_err(|_| InvalidMailFrom)?;
        let mailbox = Mailbox::new(name.clone(), lettre_address(&address).ok_or(InvalidMailFrom)?);
        Ok(Self { name, address, mailbox })
    }

    /// The name that is shown, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address.
    pub const fn address(&self) -> &EmailAddress {
        &self.address
    }

    pub(crate) const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Whose names the Message-IDs are.
    pub(crate) fn domain(&self) -> &str {
        self.mailbox.email.domain()
    }
}

impl FromStr for MailFrom {
    type Err = InvalidMailFrom;

    fn from_str(text: &str) -> Result<Self, InvalidMailFrom> {
        Self::parse(text)
    }
}

/// `None` when lettre is stricter than we are.
pub(crate) fn lettre_address(address: &EmailAddress) -> Option<Address> {
    address.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for (text, name, address) in [
            ("a@acme.example", None, "a@acme.example"),
            ("<a@acme.example>", None, "a@acme.example"),
            (" Acme <a@ACME.example> ", Some("Acme"), "a@acme.example"),
            (
                "Acme Inc. – Käse <a@acme.example>",
                Some("Acme Inc. – Käse"),
                "a@acme.example",
            ),
            ("\"Acme, Inc.\" <a@acme.example>", Some("Acme, Inc."), "a@acme.example"),
            (
                "Aftercommit <aftercommit@localhost>",
                Some("Aftercommit"),
                "aftercommit@localhost",
            ),
        ] {
            let from = MailFrom::parse(text).unwrap();
            assert_eq!((from.name(), from.address().as_str()), (name, address), "{text}");
        }
    }

    #[test]
    fn what_could_name_another_sender_or_header_is_refused() {
        for text in [
            "",
            "Acme",
            "Acme <>",
            "a@acme.example, b@acme.example",
            "Acme, Inc. <a@acme.example>",
            "b@x.example <a@acme.example>",
            "Acme\r\nBcc: b@x.example <a@acme.example>",
            "\"Ac\"me\" <a@acme.example>",
            "Acme <a@acme.example> x",
        ] {
            assert_eq!(MailFrom::parse(text), Err(InvalidMailFrom), "{text}");
        }
    }

    #[test]
    fn no_address_of_the_domain_is_too_unusual_for_the_message_builder() {
        for text in [
            "x@localhost",
            "a+b@example.co.uk",
            "!#$%&'*/=?^_`{|}~-@1.example",
            "x@127.0.0.1",
            "x@a.b",
        ] {
            let address = EmailAddress::new(text).unwrap();
            assert!(lettre_address(&address).is_some(), "{text}");
        }
    }
}
