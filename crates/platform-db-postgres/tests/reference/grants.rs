//! What the application's role may do, and what it may not.

use aftercommit_domain::contract::Cause;
use aftercommit_domain::reference::{Digest, InvitationId, ReferenceReader as _, ReferenceUnitOfWorkFactory as _};
use aftercommit_domain::unit_of_work::StoreError;
use aftercommit_platform_db_postgres::{ConnectError, PostgresReference, migrations};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::rig::{APPLICATION, Rig};
use crate::side::Side;
use crate::sight::Sight;

/// What the server says to a statement on the connection for reads, outside any scope.
async fn refusal(rig: &Rig, sql: &str) -> Option<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    let done = sqlx::raw_sql(sql).execute(&rig.database.pools().handlers).await;
    done.err().map(|error| error.to_string())
}

#[tokio::test]
async fn without_a_scope_the_application_sees_nothing() {
    let rig = Rig::application().await;
    let side = Side::found(&rig).await;
    let sight = Sight::of(&rig).await;
    rig.grant_everything().await;
    assert_eq!(sight.unscoped(&rig).await, []);
    let held = rig.reference.begin(&side.tenant(false), &Cause::root()).await.unwrap();
    assert_eq!(sight.unscoped(&rig).await, [], "another connection's scope is its own");
    drop(held);
}

#[tokio::test]
async fn without_a_scope_the_application_changes_nothing() {
    let rig = Rig::application().await;
    let side = Side::found(&rig).await;
    let sight = Sight::of(&rig).await;
    rig.grant_everything().await;
    let mut superuser = rig.superuser().await;
    let before = sight.state(&mut superuser, &side).await;
    for table in sight.tables().chain(["reference.users", "reference.sign_in_links"]) {
        let deleted = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}")))
            .execute(&rig.database.pools().handlers)
            .await
            .unwrap();
        assert_eq!(deleted.rows_affected(), 0, "{table}");
    }
    for insert in [
        "INSERT INTO reference.organizations (id, name, created_at) VALUES ('new', 'x', now())",
        "INSERT INTO reference.users (id, email_digest, email_key, email, created_at) \
         VALUES (gen_random_uuid(), '', '', '', now())",
        "INSERT INTO reference.requests (organization_id, route, key, id, fingerprint, claimed_at) \
         VALUES ('', 'x', 'x', gen_random_uuid(), '', now())",
        "INSERT INTO aftercommit.outbox (id, kind, written_at, body) VALUES (gen_random_uuid(), 'event', now(), '')",
    ] {
        let refusal = refusal(&rig, insert).await.unwrap();
        assert!(
            refusal.contains("violates row-level security policy"),
            "{insert}: {refusal}"
        );
    }
    assert_eq!(sight.state(&mut superuser, &side).await, before);
}

#[tokio::test]
async fn the_application_may_do_no_more_than_it_was_granted() {
    let rig = Rig::application().await;
    for sql in [
        "SELECT 1 FROM aftercommit.outbox",
        "UPDATE aftercommit.outbox SET attempts = 0",
        "DELETE FROM aftercommit.outbox",
        "SELECT 1 FROM aftercommit.event_log",
        "SELECT 1 FROM aftercommit.dead_letters",
        "SELECT 1 FROM aftercommit.tasks",
        "SELECT 1 FROM reference.migrations",
        "TRUNCATE reference.records",
        "SELECT aftercommit.event_log_make_days(1)",
        "SELECT aftercommit.event_log_drop_days(now(), 100)",
        "SELECT * FROM aftercommit.outbox_claim(1, '1 s', 1, '', '{}', '{}', 0)",
        "ALTER TABLE reference.records NO FORCE ROW LEVEL SECURITY",
        "CREATE TABLE reference.mine (id integer)",
        "SET ROLE aftercommit_test_owner",
    ] {
        let refusal = refusal(&rig, sql).await;
        let is_denied = |text: &String| text.contains("permission denied") || text.contains("must be owner");
        assert!(refusal.as_ref().is_some_and(is_denied), "{sql}: {refusal:?}");
    }
}

#[tokio::test]
async fn a_connection_keeps_nothing_of_an_aborted_unit_of_work() {
    let rig = Rig::application().await;
    let (first, second) = (Side::found(&rig).await, Side::found(&rig).await);
    let sight = Sight::of(&rig).await;
    rig.grant_everything().await;

    let mut aborted = rig.database.begin(&first.tenant(false)).await.unwrap();
    let connection: i32 = backend(&mut aborted).await;
    aborted.execute("SELECT 1 / 0").await.unwrap_err();
    drop(aborted);
    let mut next = rig.database.begin(&second.tenant(false)).await.unwrap();
    assert_eq!(backend(&mut next).await, connection, "the same connection");
    let organization: String = sqlx::query_scalar("SELECT aftercommit.current_organization()")
        .fetch_one(&mut *next)
        .await
        .unwrap();
    assert_eq!(organization, second.organization.as_str());
    drop(next);
    assert_eq!(sight.strangers(&rig, &second.tenant(false)).await, []);

    // A transaction of the application's own, which nobody ended.
    let handlers = &rig.database.pools().handlers;
    let mut left = handlers.acquire().await.unwrap();
    let connection: i32 = backend(&mut left).await;
    left.execute("BEGIN").await.unwrap();
    let scope = format!(
        "SET LOCAL aftercommit.scope = 'organization'; SET LOCAL aftercommit.organization_id = '{}'",
        first.organization
    );
    sqlx::raw_sql(AssertSqlSafe(scope)).execute(&mut *left).await.unwrap();
    left.execute("SELECT 1 / 0").await.unwrap_err();
    drop(left);
    let mut next = handlers.acquire().await.unwrap();
    assert_eq!(backend(&mut next).await, connection, "the same connection");
    drop(next);
    assert_eq!(sight.unscoped(&rig).await, []);
}

async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_comes_before_a_tenant_is_answered_one_row_at_a_time() {
    let rig = Rig::application().await;
    let (first, second) = (Side::found(&rig).await, Side::found(&rig).await);
    for side in [&first, &second] {
        let key = rig
            .reference
            .api_key(&side.key(side.api_key).digest)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((key.id, &key.organization_id), (side.api_key, &side.organization));
        let tenant = rig.reference.tenant_of_invitation(side.invitation).await.unwrap();
        assert_eq!(tenant, Some(side.tenant(false)));
    }
    assert_eq!(rig.reference.api_key(&Digest::of("")).await.unwrap(), None);
    let unknown = InvitationId::from(uuid::Uuid::nil());
    assert_eq!(rig.reference.tenant_of_invitation(unknown).await.unwrap(), None);

    let mut superuser = rig.superuser().await;
    let open_to_all: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_proc WHERE prosecdef AND has_function_privilege('public', oid, 'EXECUTE') \
         AND pronamespace IN ('aftercommit'::regnamespace, 'reference'::regnamespace)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!(open_to_all, 0, "what runs as the owner is for those it is granted to");
    let unpinned: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_proc WHERE prosecdef AND NOT coalesce(array_to_string(proconfig, ','), '') \
         LIKE '%search_path=%' AND pronamespace IN ('aftercommit'::regnamespace, 'reference'::regnamespace)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!(unpinned, 0, "what runs as the owner finds only what it names");
}

#[tokio::test]
async fn every_table_of_the_product_is_under_forced_row_level_security() {
    let rig = Rig::owner().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'reference'::regnamespace AND relkind = 'r' \
         AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    .fetch_all(&mut rig.superuser().await)
    .await
    .unwrap();
    assert_eq!(bare, ["migrations"]);
}

/// Row-level security makes an update of another tenant's row one of no row at all, without an error.
#[tokio::test]
async fn a_change_that_must_find_its_row_says_so_when_it_does_not() {
    let rig = Rig::application().await;
    let (first, second) = (Side::found(&rig).await, Side::found(&rig).await);
    for one in [
        crate::acts::Act::ClaimEmail,
        crate::acts::Act::AddToken,
        crate::acts::Act::Ingest,
    ] {
        let mut uow = rig
            .reference
            .begin(&second.tenant(false), &Cause::root())
            .await
            .unwrap();
        let refused = crate::acts::act(&rig, &mut *uow, one, &first).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{one:?}: {refused:?}"
        );
    }
    let mut uow = rig.reference.begin(&first.tenant(false), &Cause::root()).await.unwrap();
    let (claimed, answer) = first.claimed_request();
    let mut requests = uow.requests();
    requests
        .claim(claimed, &first.request(claimed.uuid()), first.now, first.now)
        .await
        .unwrap();
    drop(requests);
    uow.commit().await.unwrap();
    let mut uow = rig
        .reference
        .begin(&second.tenant(false), &Cause::root())
        .await
        .unwrap();
    let refused = uow.requests().keep_answer(claimed, &answer).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_hold_gets_nothing() {
    let rig = Rig::owner().await;
    let mut owner = PgConnection::connect(&rig.store.url()).await.unwrap();
    for (role, reason) in [
        ("public", "not the name of a role"),
        ("none", "not the name of a role"),
        ("", "not the name of a role"),
        ("a\nb", "not the name of a role"),
        ("nobody-has-this-name", "does not exist"),
        ("x\"; DROP SCHEMA reference; --", "does not exist"),
        ("aftercommit_test_owner", "owns the tables"),
    ] {
        let refused = migrations::grant_to(&mut owner, role).await.unwrap_err();
        assert!(matches!(&refused, ConnectError::Role { .. }), "{role}: {refused}");
        assert!(refused.to_string().contains(reason), "{role}: {refused}");
    }
    let mut superuser = rig.superuser().await;
    let me: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    let refused = migrations::grant_to(&mut owner, &me).await.unwrap_err();
    assert!(refused.to_string().contains("superuser"), "{refused}");
}

#[tokio::test]
async fn granting_again_changes_nothing_and_a_name_is_quoted() {
    let rig = Rig::owner().await;
    let mut superuser = rig.superuser().await;
    let mut owner = PgConnection::connect(&rig.store.url()).await.unwrap();
    let privileges = "SELECT string_agg(relname || relacl::text, ',' ORDER BY relname) FROM pg_class \
                      WHERE relnamespace IN ('aftercommit'::regnamespace, 'reference'::regnamespace)";
    let before: String = sqlx::query_scalar(privileges).fetch_one(&mut superuser).await.unwrap();
    migrations::grant_to(&mut owner, APPLICATION).await.unwrap();
    let after: String = sqlx::query_scalar(privileges).fetch_one(&mut superuser).await.unwrap();
    assert_eq!(before, after);

    // Nobody else sees a role of a transaction that is not committed.
    let mut transaction = superuser.begin().await.unwrap();
    transaction
        .execute("CREATE ROLE \"Odd \"\"role\"\" name\"")
        .await
        .unwrap();
    let odd = migrations::grants_for(&mut transaction, "Odd \"role\" name").await;
    // A superuser asks, so the role is no member of whoever owns the tables.
    for statement in odd.unwrap() {
        transaction.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn the_schemas_versions_are_their_own() {
    let rig = Rig::owner().await;
    let states = PostgresReference::migration_status(rig.database.options())
        .await
        .unwrap();
    assert!(
        states
            .iter()
            .all(|state| state.schema == "reference" && state.is_applied)
    );
    assert!(!states.is_empty());
    let mut owner = PgConnection::connect(&rig.store.url()).await.unwrap();
    assert_eq!(migrations::reference().apply(&mut owner).await.unwrap(), [] as [i64; 0]);

    owner
        .execute("DELETE FROM reference.migrations WHERE version = 3")
        .await
        .unwrap();
    let older = migrations::reference().check(&mut owner).await;
    assert!(matches!(
        older,
        Err(ConnectError::OlderSchema {
            schema: "reference",
            version: 3
        })
    ));
    migrations::aftercommit().check(&mut owner).await.unwrap();
    owner
        .execute("UPDATE reference.migrations SET version = 99 WHERE version = 2")
        .await
        .unwrap();
    let newer = migrations::reference().check(&mut owner).await;
    assert!(matches!(
        newer,
        Err(ConnectError::NewerSchema {
            schema: "reference",
            version: 99
        })
    ));
}
