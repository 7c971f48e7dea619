//! Transactions and units of work.

use aftercommit_domain::contract::{Cause, OrganizationId, Tenant};
use aftercommit_domain::unit_of_work::{CommitError, UnitOfWork as _};
use aftercommit_testkit::conformance::Messages;
use sqlx::Executor as _;

use crate::processes::count;
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_one_of_whose_statements_failed_is_not_answered_as_committed() {
    let rig = Rig::start().await;
    rig.database
        .pools()
        .handlers
        .execute("CREATE TABLE public.notes (note text NOT NULL)")
        .await
        .unwrap();
    for has_messages in [false, true] {
        let units = rig.database.units_of_work(rig.services.envelopes.clone());
        let message = Messages::new(&rig.services).row("a");
        let mut unit = units.begin_postgres(message.tenant(), &Cause::root()).await.unwrap();
        unit.transaction()
            .execute("INSERT INTO public.notes VALUES ('lost')")
            .await
            .unwrap();
        // A mistake whose error the application overlooked; COMMIT would answer "ROLLBACK" without an error.
        unit.transaction().execute("SELECT 1/0").await.unwrap_err();
        if has_messages {
            unit.outbox().append(vec![message]).await.unwrap();
        }
        let committed = unit.commit().await;
        assert!(matches!(committed, Err(CommitError::Refused { .. })), "{committed:?}");
        assert_eq!(count(&rig, "SELECT count(*) FROM public.notes").await, 0);
        assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, 0);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_id_of_any_text_sets_its_own_scope_and_nothing_else() {
    let rig = Rig::start().await;
    for id in [
        "acme",
        "it's",
        "a\\'; SET LOCAL aftercommit.scope = 'system'; --",
        "ümläut",
        "E'x'",
    ] {
        let tenant = Tenant::organization(OrganizationId::new(id).unwrap());
        let mut transaction = rig.database.begin(&tenant).await.unwrap();
        let seen: (String, String) =
            sqlx::query_as("SELECT aftercommit.current_scope(), aftercommit.current_organization()")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        assert_eq!(seen, ("organization".to_owned(), id.to_owned()));
        transaction.rollback().await.unwrap();
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_transactions_are_told_apart_from_refused_ones() {
    let rig = Rig::start().await;
    rig.database
        .pools()
        .handlers
        .execute("CREATE TABLE public.counters (name text PRIMARY KEY, value bigint NOT NULL); INSERT INTO public.counters VALUES ('a', 0)")
        .await
        .unwrap();
    let mut first = rig.database.begin(&Tenant::System).await.unwrap();
    let mut second = rig.database.begin(&Tenant::System).await.unwrap();
    for transaction in [&mut first, &mut second] {
        transaction
            .execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            .await
            .unwrap();
        transaction
            .execute("SELECT sum(value) FROM public.counters")
            .await
            .unwrap();
    }
    first
        .execute("INSERT INTO public.counters VALUES ('b', 1)")
        .await
        .unwrap();
    second
        .execute("INSERT INTO public.counters VALUES ('c', 1)")
        .await
        .unwrap();
    first.commit().await.unwrap();
    let lost = second.commit().await;
    assert!(matches!(lost, Err(CommitError::Conflict { .. })), "{lost:?}");
    rig.stop().await;
}
