//! Derives for the contracts of Aftercommit.
//!
//! `#[derive(DomainEvent)]`, `#[derive(Task)]` and `#[derive(WorkflowInput)]` refuse, at compile time and with a way out, what the rail would only
//! find at run time: a contract without its tenant, a field that is not a fact, a name that no provider can carry.
//! `#[derive(Payload)]` lets an enum or a small struct be a field of such a contract.
//!
//! The attributes are described with the traits: `aftercommit_domain::events::DomainEvent`,
//! `aftercommit_domain::tasks::Task`, `aftercommit_domain::workflows::WorkflowInput` and
//! `aftercommit_domain::contract::PayloadField`.

mod attribute;
mod coalesce;
mod contract;
mod crate_path;
mod domain_event;
mod exemption;
mod fields;
mod names;
mod payload;
mod payload_assertion;
mod task;
mod tenant;
mod workflow_input;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a domain event.
///
/// `#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]`, optionally `upcast = path::to::function`, which
/// turns the JSON of an older version into that of the next one. Exactly one field has `#[aggregate_id]`.
///
/// The fields `organization_id` and `project_id`, or fields marked `#[organization_id]` and `#[project_id]`, say whose
/// event it is. `#[exempt(organization, "reason")]` does without a project id, `#[exempt(system, "reason")]` without
/// both.
#[proc_macro_derive(DomainEvent, attributes(event, exempt, organization_id, project_id, aggregate_id))]
pub fn derive_domain_event(input: TokenStream) -> TokenStream {
    expand(domain_event::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a struct a task.
///
/// `#[task(topic = "receipts", name = "send", version = 1)]`, optionally `upcast = path::to::function`,
/// `order_key = field`, `timeout_secs = 30`, `max_attempts = 5`.
///
/// The fields `organization_id` and `project_id`, or fields marked `#[organization_id]` and `#[project_id]`, say whose
/// task it is. `#[exempt(organization, "reason")]` does without a project id, `#[exempt(system, "reason")]` without
/// both.
///
/// `#[coalesce(debounce(quiet = "90s", max_wait = "15m"), key = record_id)]` says how publishes become fewer tasks unless a
/// publish says otherwise. The policies are `replace`, `once(ttl = …)`, `while_pending`, `while_active(skip)`,
/// `while_active(run_again_once)`, `debounce(quiet = …, max_wait = …)`, `throttle(every = …)` and
/// `latest_throttle(every = …)`; `key` names the field whose text is the key.
#[proc_macro_derive(Task, attributes(task, coalesce, exempt, organization_id, project_id))]
pub fn derive_task(input: TokenStream) -> TokenStream {
    expand(task::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a struct what a workflow is started with.
///
/// `#[workflow(name = "collect-payment", version = 1)]`, optionally `upcast = path::to::function` and `once_ever`: it is
/// never started again under the same id.
///
/// The fields `organization_id` and `project_id`, or fields marked `#[organization_id]` and `#[project_id]`, say whose
/// workflow it is. `#[exempt(organization, "reason")]` does without a project id, `#[exempt(system, "reason")]` without
/// both.
#[proc_macro_derive(WorkflowInput, attributes(workflow, exempt, organization_id, project_id))]
pub fn derive_workflow_input(input: TokenStream) -> TokenStream {
    expand(workflow_input::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Makes an enum or a struct a field of payloads. Every field of every variant must be one too.
#[proc_macro_derive(Payload)]
pub fn derive_payload(input: TokenStream) -> TokenStream {
    expand(payload::derive(&parse_macro_input!(input as DeriveInput)))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}
