//! The database: opening and closing it, and what it offers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::contract::Tenant;
use aftercommit_domain::unit_of_work::StoreError;
use sqlx::{Connection as _, PgPool};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::bell::{Bell, Listening};
use crate::bulk_runs::PostgresBulkRuns;
use crate::connect_error::ConnectError;
use crate::dead_letters::{PostgresDeadLetters, ReplayInto};
use crate::event_log::PostgresEventLog;
use crate::findings::findings;
use crate::inbox::PostgresInboxMaintenance;
use crate::migrations;
use crate::options::{PostgresOptions, PostgresServices};
use crate::outbox::{Look, PostgresOutbox};
use crate::pools::{self, Pools, connect_directly};
use crate::schedules::PostgresSchedules;
use crate::statement::Statements;
use crate::transaction::{Beginner, Line, PostgresTransaction};
use crate::unit_of_work::PostgresUnitOfWorkFactory;
use crate::wake::Wake;

/// The longest closing waits for connections that others still use.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The most rows of one list.
pub(crate) const LIST_CAP: u32 = 1000;
/// The rows of a list when nothing was said.
pub(crate) const LIST_DEFAULT: u32 = 50;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct PostgresDatabase {
    inner: Arc<Inner>,
}

/// What the parts of an open database share.
pub(crate) struct Inner {
    pub(crate) options: PostgresOptions,
    pub(crate) services: PostgresServices,
    pub(crate) pools: Pools,
    pub(crate) engine: Statements,
    pub(crate) leases: Statements,
    pub(crate) console: Statements,
    pub(crate) beginner: Beginner,
    pub(crate) relay: Arc<Wake>,
    pub(crate) look: Look,
    pub(crate) bell: Arc<Bell>,
    tokens: AtomicI64,
    tracker: TaskTracker,
    ringing: TaskTracker,
    /// Ends ringing and listening; whoever forgets to close ends them all the same.
    closing: DropGuard,
}

impl PostgresDatabase {
    /// Connects, and brings the schema `aftercommit` to this version or, where [`PostgresOptions::migrate`] is off,
    /// refuses one that is not. Connections are made when they are needed.
    ///
    /// # Errors
    /// [`ConnectError`] says what is wrong and what to do; nothing was changed.
    pub async fn open(options: PostgresOptions, services: PostgresServices) -> Result<Self, ConnectError> {
        let mut direct = connect_directly(&options).await?;
        if options.migrate {
            let applied = migrations::apply(&mut direct).await?;
            if !applied.is_empty() {
                tracing::info!(?applied, "the schema aftercommit was brought to this version");
            }
        } else {
            migrations::aftercommit().check(&mut direct).await?;
        }
        for finding in findings(&options, &mut direct).await {
            tracing::warn!("{finding}");
        }
        // Nothing more is asked of it; a failure to say goodbye changes nothing.
        let _ = direct.close().await;

        let pools = Pools::build(&options)?;
        let statements = |pool: &PgPool| Statements::of(pool.clone(), &options);
        let mut bytes = [0; 8];
        services.randomness.fill(&mut bytes);
        // Far from both ends, so that counting up from it never overflows; random, so that two processes never draw the
        // same.
        let first_token = i64::from_le_bytes(bytes) >> 1;
        let bell = Arc::new(Bell::new(first_token, options.notify));
        let (tracker, relay) = (TaskTracker::new(), Arc::new(Wake::shared(Arc::clone(&bell))));
        let beginner = Beginner {
            units: pools.units.clone(),
            tracker: tracker.clone(),
            relay: Arc::clone(&relay),
            limit: options.statement_timeout,
            is_pooled: options.pgbouncer,
            line: Arc::new(Line::default()),
        };
        let (ringing, closing) = (TaskTracker::new(), CancellationToken::new());
        if options.notify {
            let (bell, engine, closing) = (Arc::clone(&bell), statements(&pools.engine), closing.clone());
            ringing.spawn(async move { bell.keep_ringing(engine, closing).await });
        }
        if let Some(connect) = pools::listening(&options)? {
            let listening = Listening {
                bell: Arc::clone(&bell),
                relay: Arc::clone(&relay),
                randomness: Arc::clone(&services.randomness),
                connect,
            };
            ringing.spawn(listening.run(closing.clone()));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                engine: statements(&pools.engine),
                leases: statements(&pools.leases),
                console: statements(&pools.console),
                beginner,
                relay,
                look: Look::default(),
                bell,
                tokens: AtomicI64::new(first_token),
                tracker,
                ringing,
                closing: closing.drop_guard(),
                pools,
                options,
                services,
            }),
        })
    }

    /// Closes every connection. What comes afterwards is refused as unavailable. Closing twice is closing once.
    ///
    /// # Errors
    /// When connections are still in use after 5 s. Nothing committed is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.tracker.close();
        self.inner.ringing.close();
        let rest = async {
            self.inner.closing.token().cancel();
            self.inner.ringing.wait().await;
            self.inner.pools.close().await;
            self.inner.tracker.wait().await;
        };
        timeout(CLOSE_LIMIT, rest).await.map_err(|_| StoreError::Unavailable {
            operation: "close",
            reason: format!("connections are still in use after {CLOSE_LIMIT:?}"),
        })
    }

    /// The outbox, as its relays see it.
    pub fn outbox(&self) -> PostgresOutbox {
        PostgresOutbox {
            database: Arc::clone(&self.inner),
        }
    }

    /// The event log.
    pub fn event_log(&self) -> PostgresEventLog {
        PostgresEventLog {
            database: Arc::clone(&self.inner),
        }
    }

    /// What forgets old claims of the inbox.
    pub fn inbox_maintenance(&self) -> PostgresInboxMaintenance {
        PostgresInboxMaintenance {
            database: Arc::clone(&self.inner),
        }
    }

    /// The schedules.
    pub fn schedules(&self) -> PostgresSchedules {
        PostgresSchedules {
            database: Arc::clone(&self.inner),
        }
    }

    /// What operators ordered for many.
    pub fn bulk_runs(&self) -> PostgresBulkRuns {
        PostgresBulkRuns {
            database: Arc::clone(&self.inner),
        }
    }

    /// The dead letters; `replay_into` says where replayed tasks go.
    pub fn dead_letters(&self, replay_into: ReplayInto) -> PostgresDeadLetters {
        PostgresDeadLetters {
            database: Arc::clone(&self.inner),
            replay_into,
        }
    }

    /// Begins units of work.
    pub fn units_of_work(&self, envelopes: EnvelopeFactory) -> PostgresUnitOfWorkFactory {
        PostgresUnitOfWorkFactory {
            database: Arc::clone(&self.inner),
            envelopes,
        }
    }

    /// Begins a transaction of `tenant`. Cancelling the call leaves no transaction open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection came in time, or the server is away.
    pub async fn begin(&self, tenant: &Tenant) -> Result<PostgresTransaction, StoreError> {
        self.inner.beginner.begin(tenant).await
    }

    /// How many callers of [`begin`](Self::begin) and of units of work wait because every connection is in use.
    pub fn waiting_to_begin(&self) -> usize {
        self.inner.beginner.line.len()
    }

    /// The pools: `handlers` is the application's to use.
    pub fn pools(&self) -> &Pools {
        &self.inner.pools
    }

    /// Statements of relay and queue, each with a deadline.
    pub fn engine(&self) -> &Statements {
        &self.inner.engine
    }

    /// Statements that renew and rescue, each with a deadline.
    pub fn leases(&self) -> &Statements {
        &self.inner.leases
    }

    /// Statements of those who look, each with a deadline.
    pub fn console(&self) -> &Statements {
        &self.inner.console
    }

    /// Wakes the relay of this process: after a commit that this library did not see, or a clock that was set.
    pub fn relay_wake(&self) -> Arc<Wake> {
        Arc::clone(&self.inner.relay)
    }

    /// Rings for other processes, and hears theirs.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.inner.bell)
    }

    /// How it was opened.
    pub fn options(&self) -> &PostgresOptions {
        &self.inner.options
    }

    /// What it was given.
    pub fn services(&self) -> &PostgresServices {
        &self.inner.services
    }

    /// A lease token that nobody had before.
    pub fn next_token(&self) -> i64 {
        self.inner.next_token()
    }
}

impl Inner {
    pub(crate) fn next_token(&self) -> i64 {
        self.tokens.fetch_add(1, Ordering::SeqCst)
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").finish_non_exhaustive()
    }
}
