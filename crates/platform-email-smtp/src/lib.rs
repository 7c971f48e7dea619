//! The [`EmailSender`](aftercommit_domain::effects::EmailSender) port over SMTP, and as files for development.
//!
//! [`SmtpEmailSender`] hands e-mails to a server named by an [`SmtpUrl`]; [`FileEmailSender`] writes them into a folder.
//! Both build the same message: plain text and HTML, with a Message-ID made of the idempotency key. Neither an error
//! nor a log line of this crate ever holds an address, a subject or a word of an e-mail.

#![warn(missing_docs)]

mod connections;
mod file_email_sender;
mod mail_from;
mod message;
mod smtp_email_sender;
mod smtp_failure;
mod smtp_url;

pub use file_email_sender::{FileEmailSender, MailFolderError};
pub use mail_from::{InvalidMailFrom, MailFrom};
pub use smtp_email_sender::{InvalidSmtpSettings, MAX_CONNECTIONS, SmtpEmailSender, SmtpTimeouts};
pub use smtp_url::{InvalidSmtpUrl, SmtpCredentials, SmtpSecurity, SmtpUrl};
