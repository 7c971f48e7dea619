//! A few open connections to one server.
//!
//! The library's own pool is not used, because it puts a connection back in the middle of a conversation when a send is
//! cancelled: the next e-mail would then take the answers to the last one for its own. Here only a conversation that
//! came to its end goes back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::Noop;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::smtp_email_sender::{InvalidSmtpSettings, MAX_CONNECTIONS, SmtpTimeouts};
use crate::smtp_failure::{SmtpFailure, Step};
use crate::smtp_url::{SmtpSecurity, SmtpUrl};

/// How long a kept connection has to show that it still lives; after that a new one is quicker.
const LIVENESS: Duration = Duration::from_secs(2);

pub(crate) struct Connections {
    server: Server,
    timeouts: SmtpTimeouts,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Server {
    host: String,
    port: u16,
    protection: Protection,
    credentials: Option<Credentials>,
    name: ClientId,
}

enum Protection {
    Tls(TlsParameters),
    StartTls(TlsParameters),
    PlainText,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// A connection at the start of a conversation. Dropping it closes it.
pub(crate) struct Lease<'a> {
    connection: AsyncSmtpConnection,
    connections: &'a Connections,
    /// Freed last: a connection counts until it is closed or idle.
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub(crate) fn new(url: SmtpUrl, timeouts: SmtpTimeouts) -> Result<Self, InvalidSmtpSettings> {
        // Reads the system's certificates.
        let tls = || TlsParameters::new(url.host.clone()).map_err(|_| InvalidSmtpSettings::Tls);
        let protection = match url.security {
            SmtpSecurity::Tls => Protection::Tls(tls()?),
            SmtpSecurity::StartTls => Protection::StartTls(tls()?),
            SmtpSecurity::PlainText => Protection::PlainText,
        };
        let credentials = url
            .credentials
            .map(|login| Credentials::new(login.username, login.password.expose_secret().to_owned()));
        Ok(Self {
            server: Server {
                host: url.host,
                port: url.port,
                protection,
                credentials,
                name: ClientId::default(),
            },
            timeouts,
            permits: Semaphore::new(MAX_CONNECTIONS),
            idle: Mutex::default(),
        })
    }

    pub(crate) fn set_timeouts(&mut self, timeouts: SmtpTimeouts) {
        self.timeouts = timeouts;
    }

    pub(crate) const fn timeouts(&self) -> SmtpTimeouts {
        self.timeouts
    }

    /// Waits for a free place, then answers an idle connection that still lives or a new one.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, SmtpFailure> {
        let permit = self.permits.acquire().await.map_err(|_| SmtpFailure::Closed)?;
        while let Some(mut connection) = self.take_idle() {
            let liveness = self.timeouts.command.min(LIVENESS);
            let answered = tokio::time::timeout(liveness, connection.command(Noop)).await;
            if matches!(answered, Ok(Ok(_))) {
                return Ok(self.leased(connection, permit));
            }
        }
        let connection = self.connect().await?;
        Ok(self.leased(connection, permit))
    }

    /// Takes leave of the server on every idle connection; those in use are closed when their e-mail is done.
    pub(crate) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        let quits = idle.into_iter().map(|mut idle| async move {
            // The server closes the connection anyway; leaving politely only keeps its log clean.
            let _left = tokio::time::timeout(LIVENESS, idle.connection.quit()).await;
        });
        for quit in quits {
            quit.await;
        }
    }

    fn leased<'a>(&'a self, connection: AsyncSmtpConnection, permit: SemaphorePermit<'a>) -> Lease<'a> {
        Lease {
            connection,
            connections: self,
            _permit: permit,
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpFailure> {
        let Server {
            host,
            port,
            protection,
            credentials,
            name,
        } = &self.server;
        let (from_start, later) = match protection {
            Protection::Tls(parameters) => (Some(parameters.clone()), None),
            Protection::StartTls(parameters) => (None, Some(parameters.clone())),
            Protection::PlainText => (None, None),
        };
        // Half of the time for one address leaves some for the next: a host may have one that leads nowhere.
        let one_address = Some(self.timeouts.command / 2);
        let connecting =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), one_address, name, from_start, None);
        let mut connection = self.within(Step::Connect, connecting).await?;
        if let Some(parameters) = later {
            self.within(Step::StartTls, connection.starttls(parameters, name))
                .await?;
        }
        if let Some(credentials) = credentials {
            let response = self
                .within(Step::Login, connection.auth(DEFAULT_MECHANISMS, credentials))
                .await?;
            expect(Step::Login, &response, &[235])?;
        }
        Ok(connection)
    }

    /// One step with its deadline.
    pub(crate) async fn within<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, SmtpFailure> {
        match tokio::time::timeout(self.timeouts.command, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(SmtpFailure::new(step, &error)),
            Err(_) => Err(SmtpFailure::TimedOut {
                step,
                after: self.timeouts.command,
            }),
        }
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < self.timeouts.idle);
        idle.pop().map(|idle| idle.connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    pub(crate) const fn connection(&mut self) -> &mut AsyncSmtpConnection {
        &mut self.connection
    }

    /// Keeps the connection for the next e-mail. To be called at the end of a conversation only.
    pub(crate) fn keep(self) {
        let Self {
            connection,
            connections,
            _permit,
        } = self;
        if !connections.permits.is_closed() {
            connections.idle().push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}

/// A positive answer of another kind means that client and server talk about different things.
pub(crate) fn expect(step: Step, response: &Response, codes: &[u16]) -> Result<(), SmtpFailure> {
    if codes.iter().any(|code| response.has_code(*code)) {
        Ok(())
    } else {
        Err(SmtpFailure::Unexpected {
            step,
            code: response.code().into(),
        })
    }
}
