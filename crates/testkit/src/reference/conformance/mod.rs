//! What every store of the reference product does: one scenario for each sentence of its repository ports.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a scenario says in its name what it shows, and fails by a panic"
)]

mod billing;
mod digests;
mod exports;
mod identity;
mod incidents;
mod invitations;
mod notifications;
mod projects;
mod requests;
mod search;
mod tenancy;
mod usage;
mod webhooks;

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::reference::organizations::Organization;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::{Name, ReferenceReader, ReferenceUnitOfWork, ReferenceUnitOfWorkFactory};
use aftercommit_domain::time::{Timestamp, after, seconds};

pub use billing::*;
pub use digests::*;
pub use exports::*;
pub use identity::*;
pub use incidents::*;
pub use invitations::*;
pub use notifications::*;
pub use projects::*;
pub use requests::*;
pub use search::*;
pub use tenancy::*;
pub use usage::*;
pub use webhooks::*;

/// The store under test: empty, and one of its own for each scenario.
#[derive(Clone)]
pub struct ReferenceStores {
    /// Begins its units of work.
    pub units: Arc<dyn ReferenceUnitOfWorkFactory>,
    /// Reads outside them.
    pub reader: Arc<dyn ReferenceReader>,
}

/// Makes one named test for each scenario. The expression is a future of [`ReferenceStores`] and something that lives as
/// long as the test, such as a temporary directory:
///
/// ```text
/// aftercommit_testkit::reference_store_conformance!(async { (stores().await, ()) });
/// ```
#[macro_export]
macro_rules! reference_store_conformance {
    ($make:expr) => {
        $crate::reference_store_conformance!($make =>
            rows_are_seen_after_the_commit_and_not_before,
            nothing_is_kept_of_a_unit_of_work_that_is_dropped,
            rows_of_another_organization_are_not_found,
            rows_of_another_organization_are_not_changed,
            a_change_that_must_find_its_row_and_finds_none_under_its_tenant_is_an_error,
            what_is_stored_comes_back_unchanged,
            a_mark_of_a_project_is_set_once,
            a_deleted_project_gets_no_more_marks,
            a_record_under_a_known_key_replaces_the_first_and_keeps_its_id,
            projects_do_not_share_keys,
            a_purge_takes_one_projects_records_and_at_most_its_limit,
            a_record_is_found_as_it_is_now_and_by_the_batch_it_came_with_last,
            a_record_is_looked_up_by_what_it_says_now_the_latest_first,
            what_the_index_has_of_a_record_goes_with_it_and_does_not_come_back,
            usage_adds_up_by_project_and_month_the_newest_first,
            of_a_project_and_month_one_report_is_pending_and_the_next_goes_on_where_it_ended,
            the_ledger_takes_down_one_report_for_each_key,
            of_a_source_one_incident_is_open_and_it_is_closed_once,
            open_incidents_are_listed_in_pages_and_the_system_lists_those_of_all_organizations,
            incidents_are_counted_from_a_time_on_and_before_another,
            a_notification_is_there_once_for_each_key_of_a_person,
            the_email_of_a_notification_is_claimed_by_one_task_and_recorded_once,
            notifications_about_a_project_are_deleted_a_part_at_a_time_and_no_others,
            what_a_person_wants_is_kept_for_each_organization,
            a_project_has_one_digest_for_each_end_of_a_week,
            an_export_goes_on_until_it_is_over_and_no_further,
            exports_of_a_project_come_in_pages_and_are_forgotten_one_by_one,
            the_records_of_a_project_come_in_pages_and_none_is_left_out,
            live_projects_are_listed_in_pages_and_the_system_lists_those_of_all_organizations,
            members_are_listed_in_pages,
            an_address_belongs_to_one_person_whatever_its_case,
            someone_is_a_member_once_and_keeps_their_role,
            somebody_who_left_is_no_member_and_the_system_lists_where_they_are_in_pages,
            the_address_of_a_person_is_replaced_and_their_old_one_is_free,
            api_keys_that_work_are_listed_up_to_a_limit,
            an_api_key_is_found_by_its_digest_even_when_it_was_revoked,
            an_api_key_is_revoked_once,
            a_sign_in_link_is_found_by_its_token_and_used_up_once,
            old_sign_in_links_are_forgotten_a_few_at_a_time,
            an_invitation_is_accepted_revoked_or_expired_once,
            an_open_invitation_is_prolonged_and_a_decided_one_is_not,
            an_email_is_claimed_by_one_task_until_its_claim_is_stale,
            an_email_that_was_sent_cannot_be_claimed,
            every_token_of_an_invitation_works_up_to_its_limit,
            a_webhook_comes_back_with_its_secret_and_its_health,
            the_webhooks_of_a_project_come_the_oldest_first_and_at_most_as_many_as_asked_for,
            a_webhook_is_deleted_once_and_only_as_one_of_its_project,
            a_request_is_claimed_once_and_repeats_its_answer,
            a_key_means_something_else_to_another_organization_and_on_another_route,
            a_request_older_than_it_is_kept_can_be_claimed_again,
        );
    };
    ($make:expr => $($scenario:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scenario() {
                let (stores, _alive) = $make.await;
                $crate::reference::conformance::$scenario(&stores).await;
            }
        )*
    };
}

/// The time the scenarios begin at; `n` seconds after it.
fn at(n: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, seconds(1_767_225_600 + n))
}

fn id(n: u128) -> uuid::Uuid {
    // Version and variant bits of a UUIDv7, so that stores which look at them take it.
    uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 | n)
}

fn organization_id(n: u128) -> OrganizationId {
    OrganizationId::from(id(0xa000 + n))
}

fn project_id(n: u128) -> ProjectId {
    ProjectId::from(id(0xb000 + n))
}

fn tenant(n: u128) -> Tenant {
    Tenant::project(organization_id(n), project_id(n))
}

fn organization(n: u128) -> Organization {
    Organization {
        id: organization_id(n),
        name: Name::new(&format!("Organization {n}")).unwrap(),
        created_at: at(0),
    }
}

impl ReferenceStores {
    async fn begin(&self, tenant: &Tenant) -> Box<dyn ReferenceUnitOfWork> {
        self.units.begin(tenant, &Cause::root()).await.unwrap()
    }

    /// Stores organization `n` with its default project `n`.
    async fn found(&self, n: u128) {
        let mut uow = self.begin(&tenant(n)).await;
        uow.organizations().insert(&organization(n)).await.unwrap();
        uow.projects()
            .insert(&Project::default_of(&organization(n), project_id(n)))
            .await
            .unwrap();
        uow.commit().await.unwrap();
    }
}
