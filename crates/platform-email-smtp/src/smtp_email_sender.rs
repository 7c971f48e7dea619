//! Handing e-mails over to an SMTP server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aftercommit_domain::effects::{Email, EmailError, EmailSender, IdempotencyKey};
use aftercommit_domain::time::Clock;
use async_trait::async_trait;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};

use crate::connections::{Connections, expect};
use crate::mail_from::{InvalidMailFrom, MailFrom};
use crate::message::{self, Message};
use crate::smtp_failure::{SmtpFailure, Step};
use crate::smtp_url::{InvalidSmtpUrl, SmtpUrl};

/// The most connections one sender has open at a time; further e-mails wait within their deadline.
pub const MAX_CONNECTIONS: usize = 4;

/// Sends e-mails through one SMTP server.
///
/// `Ok` means that the server answered 250 to the whole message. When the connection breaks before that answer, the
/// server may have taken it: the error says so, and the repeated send has the same Message-ID. A cancelled send closes
/// its connection; it never disturbs another e-mail.
pub struct SmtpEmailSender {
    connections: Connections,
    from: MailFrom,
    clock: Arc<dyn Clock>,
}

/// How long a sender waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmtpTimeouts {
    /// For a connection, and for the answer to each command. Defaults to 10 s.
    pub command: Duration,
    /// For one e-mail as a whole, with the wait for a free connection. Defaults to 20 s.
    pub send: Duration,
    /// How long an unused connection is used again; older ones are closed before the next send. Defaults to 60 s.
    pub idle: Duration,
}

impl Default for SmtpTimeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(10),
            send: Duration::from_secs(20),
            idle: Duration::from_mins(1),
        }
    }
}

/// A sender cannot be made of these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtpSettings {
    /// The URL.
    #[error(transparent)]
    Url(#[from] InvalidSmtpUrl),
    /// The sender's address.
    #[error(transparent)]
    From(#[from] InvalidMailFrom),
    /// TLS to this host.
    #[error("TLS to the host in the SMTP URL cannot be set up: it is no valid name in a certificate")]
    Tls,
}

impl SmtpEmailSender {
    /// A sender with the default timeouts. Connects when the first e-mail is sent.
    ///
    /// # Errors
    /// The host cannot stand in a certificate although TLS is demanded.
    pub fn new(url: SmtpUrl, from: MailFrom, clock: Arc<dyn Clock>) -> Result<Self, InvalidSmtpSettings> {
        Ok(Self {
            connections: Connections::new(url, SmtpTimeouts::default())?,
            from,
            clock,
        })
    }

    /// A sender from the texts of `SMTP_URL` and `MAIL_FROM`.
    ///
    /// # Errors
    /// What is wrong with which, without repeating either.
    pub fn parse(url: &str, from: &str, clock: Arc<dyn Clock>) -> Result<Self, InvalidSmtpSettings> {
        Self::new(SmtpUrl::parse(url)?, MailFrom::parse(from)?, clock)
    }

    /// The same sender with other timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: SmtpTimeouts) -> Self {
        self.connections.set_timeouts(timeouts);
        self
    }

    /// Connects and logs in, within the deadline of a send, and sends nothing.
    ///
    /// # Errors
    /// Why the server cannot be used.
    pub async fn check(&self) -> Result<(), EmailError> {
        let limit = self.connections.timeouts().send;
        let leased = tokio::time::timeout(limit, self.connections.lease()).await;
        match leased {
            Ok(Ok(lease)) => {
                lease.keep();
                Ok(())
            }
            Ok(Err(failure)) => Err(failure.without_email()),
            Err(_) => Err(SmtpFailure::Late {
                after: limit,
                in_doubt: false,
            }
            .without_email()),
        }
    }

    /// Takes leave of the server. E-mails sent from now on fail as unavailable.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// Notes in `in_doubt` from when on the server may have the message.
    async fn hand_over(&self, message: &Message, in_doubt: &AtomicBool) -> Result<(), SmtpFailure> {
        let mut lease = self.connections.lease().await?;
        let connection = lease.connection();

        let sender = Mail::new(Some(message.from.clone()), Vec::new());
        let answer = self
            .connections
            .within(Step::Sender, connection.command(sender))
            .await?;
        expect(Step::Sender, &answer, &[250])?;

        let recipient = Rcpt::new(message.to.clone(), Vec::new());
        let answer = self
            .connections
            .within(Step::Recipient, connection.command(recipient))
            .await?;
        expect(Step::Recipient, &answer, &[250, 251, 252])?;

        let answer = self.connections.within(Step::Data, connection.command(Data)).await?;
        expect(Step::Data, &answer, &[354])?;

        in_doubt.store(true, Ordering::Relaxed);
        let answer = self
            .connections
            .within(Step::Message, connection.message(&message.bytes))
            .await?;
        expect(Step::Message, &answer, &[250])?;

        lease.keep();
        Ok(())
    }
}

#[async_trait]
impl EmailSender for SmtpEmailSender {
    async fn send(&self, email: Email, key: &IdempotencyKey) -> Result<(), EmailError> {
        let message = message::build(&self.from, &email, key, self.clock.now())?;
        let deadline = self.connections.timeouts().send;
        let in_doubt = AtomicBool::new(false);
        match tokio::time::timeout(deadline, self.hand_over(&message, &in_doubt)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(failure.into_email_error(&email)),
            Err(_) => {
                let failure = SmtpFailure::Late {
                    after: deadline,
                    in_doubt: in_doubt.into_inner(),
                };
                Err(failure.into_email_error(&email))
            }
        }
    }
}

impl fmt::Debug for SmtpEmailSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpEmailSender").finish_non_exhaustive()
    }
}
