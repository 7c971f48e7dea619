//! An application before and while it runs.

use aftercommit_runtime::Engine;
use aftercommit_runtime::lifecycle::StopOutcome;
use axum::Router;

use crate::kit::{Kit, Operations};
use crate::roles::ShownRoles;
use crate::workflows::{HostedWorkflows, Working};

/// An application whose database is open and whose declaration was checked; nothing runs yet.
pub struct Opened {
    pub(crate) kit: Kit,
    pub(crate) engine: Engine,
    pub(crate) hosted: Option<HostedWorkflows>,
    pub(crate) operations: Operations,
    pub(crate) router: Router,
    pub(crate) next_steps: Option<String>,
    pub(crate) shown_roles: ShownRoles,
}

impl Opened {
    /// The kit.
    pub const fn kit(&self) -> &Kit {
        &self.kit
    }

    /// What operators ask and order.
    pub const fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Starts the loops inside a program with a `main` of its own, which keeps its logs, metrics, signals and HTTP server.
    ///
    /// [`http::router`](crate::http::router) makes what [`Aftercommit::run`](crate::Aftercommit::run) would serve. The
    /// runtime this is called on runs the loops; call [`Running::stop`] before it ends.
    pub fn start(self) -> Running {
        Running {
            working: Working::start(self.engine, self.hosted, &self.kit),
            kit: self.kit,
            operations: self.operations,
        }
    }

    /// Closes the database without having run anything.
    pub async fn close(self) {
        self.kit.close().await;
    }
}

/// An application at work.
#[must_use = "it runs until it is stopped"]
pub struct Running {
    kit: Kit,
    working: Working,
    operations: Operations,
}

impl Running {
    /// The kit.
    pub const fn kit(&self) -> &Kit {
        &self.kit
    }

    /// What operators ask and order.
    pub const fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Stops in stages, as long as the settings' `shutdown` allows: no new work, time to finish, cancelled, dropped. Then
    /// closes the database. Answers how it went.
    pub async fn stop(self) -> StopOutcome {
        let outcome = self.working.stop().await;
        self.kit.close().await;
        outcome
    }
}
