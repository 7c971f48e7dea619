//! Two tenants do whatever they like, on one connection: neither ever sees or changes what is the other's.

use aftercommit_domain::contract::Cause;
use aftercommit_domain::reference::ReferenceUnitOfWorkFactory as _;
use aftercommit_domain::unit_of_work::StoreError;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestError, TestRunner};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::runtime::Runtime;

use crate::acts::{Act, act};
use crate::rig::Rig;
use crate::side::Side;
use crate::sight::Sight;
use crate::statements::{STATEMENTS, statement};

/// One unit of work of one of the two.
#[derive(Debug, Clone)]
struct Unit {
    /// Whose: the first or the second.
    is_first: bool,
    /// Of the whole organization, or of its project.
    is_whole: bool,
    what: What,
    end: End,
}

#[derive(Debug, Clone)]
enum What {
    /// Through the repositories, each to one's own or to what is the other's.
    Acts(Vec<(Act, bool)>),
    /// By SQL.
    Statements(Vec<usize>),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    Drop,
    /// A statement of it fails, and whoever has it wants to commit all the same.
    FailAndCommit,
    /// Whoever waits for a statement of it goes away.
    Cancel,
}

fn units() -> impl Strategy<Value = Vec<Unit>> {
    let acts = prop::collection::vec((select(&Act::ALL[..]), any::<bool>()), 1..5).prop_map(What::Acts);
    let statements = prop::collection::vec(0..STATEMENTS.len(), 1..4).prop_map(What::Statements);
    let end = prop_oneof![
        5 => Just(End::Commit),
        1 => Just(End::Drop),
        1 => Just(End::FailAndCommit),
        1 => Just(End::Cancel),
    ];
    let unit = (any::<bool>(), any::<bool>(), prop_oneof![acts, statements], end);
    let unit = unit.prop_map(|(is_first, is_whole, what, end)| Unit {
        is_first,
        is_whole,
        what,
        end,
    });
    prop::collection::vec(unit, 1..12)
}

/// Runs the units, and says what went wrong.
async fn run(rig: &Rig, sight: &Sight, units: &[Unit]) -> Result<(), TestCaseError> {
    let (first, second) = (Side::found(rig).await, Side::found(rig).await);
    let mut superuser = rig.superuser().await;
    for unit in units {
        let (mine, theirs) = if unit.is_first {
            (&first, &second)
        } else {
            (&second, &first)
        };
        let mine_before = sight.state(&mut superuser, mine).await;
        let theirs_before = sight.state(&mut superuser, theirs).await;
        let is_committed = match &unit.what {
            What::Acts(acts) => through_repositories(rig, unit, acts, (mine, theirs)).await?,
            What::Statements(statements) => by_statements(rig, unit, statements, (mine, theirs)).await?,
        };
        let theirs_after = sight.state(&mut superuser, theirs).await;
        prop_assert_eq!(&theirs_before, &theirs_after, "the other's rows changed");
        if !is_committed {
            let mine_after = sight.state(&mut superuser, mine).await;
            prop_assert_eq!(&mine_before, &mine_after, "what was not committed is there");
        }
        for side in [mine, theirs] {
            let strangers = sight.strangers(rig, &side.tenant(unit.is_whole)).await;
            prop_assert!(strangers.is_empty(), "seen of others: {:?}", strangers);
        }
    }
    Ok(())
}

/// Answers whether it was committed.
async fn through_repositories(
    rig: &Rig,
    unit: &Unit,
    acts: &[(Act, bool)],
    (mine, theirs): (&Side, &Side),
) -> Result<bool, TestCaseError> {
    let tenant = mine.tenant(unit.is_whole);
    let mut uow = rig.reference.begin(&tenant, &Cause::root()).await.unwrap();
    let mut has_failed = false;
    for (one, is_mine) in acts {
        match act(rig, &mut *uow, *one, if *is_mine { mine } else { theirs }).await {
            Ok(has_touched) => prop_assert!(*is_mine || !has_touched, "{:?} reached what is the other's", one),
            Err(StoreError::Refused { .. } | StoreError::Duplicate { .. }) => {
                has_failed = true;
                break;
            }
            Err(error) => return Err(TestCaseError::fail(format!("{one:?}: {error}"))),
        }
    }
    if matches!(unit.end, End::FailAndCommit) {
        // A second default project.
        let again = mine.default_project();
        has_failed = has_failed || uow.projects().insert(&again).await.is_err();
        prop_assert!(has_failed);
    }
    match unit.end {
        End::Commit | End::FailAndCommit => finished(has_failed, uow.commit().await.is_ok()),
        End::Drop | End::Cancel => Ok(false),
    }
}

/// Answers whether it was committed.
async fn by_statements(
    rig: &Rig,
    unit: &Unit,
    statements: &[usize],
    (mine, theirs): (&Side, &Side),
) -> Result<bool, TestCaseError> {
    let mut transaction = rig.database.begin(&mine.tenant(unit.is_whole)).await.unwrap();
    let mut has_failed = false;
    for number in statements {
        let sql = AssertSqlSafe(statement(*number, mine, theirs));
        has_failed = has_failed || sqlx::raw_sql(sql).execute(&mut *transaction).await.is_err();
    }
    match unit.end {
        End::Commit => finished(has_failed, transaction.commit().await.is_ok()),
        End::FailAndCommit => {
            prop_assert!(transaction.execute("SELECT 1 / 0").await.is_err());
            finished(true, transaction.commit().await.is_ok())
        }
        End::Drop => Ok(false),
        End::Cancel => {
            let delete = sqlx::raw_sql("DELETE FROM reference.records").execute(&mut *transaction);
            tokio::select! {
                biased;
                _ = delete => {}
                () = std::future::ready(()) => {}
            }
            Ok(false)
        }
    }
}

/// A transaction one of whose statements failed is not committed, and whoever commits it is told. A failed act may have
/// failed before it was a statement, so the other way round it may.
fn finished(has_failed: bool, is_committed: bool) -> Result<bool, TestCaseError> {
    prop_assert!(has_failed || is_committed, "a commit failed for no reason");
    Ok(is_committed)
}

/// Lets two tenants try `cases` times, on a database that `prepare` has changed.
fn try_it(as_application: bool, cases: u32, prepare: &[&str]) -> Result<(), TestError<Vec<Unit>>> {
    let runtime = Runtime::new().unwrap();
    let (rig, sight) = runtime.block_on(async {
        let rig = if as_application {
            Rig::application().await
        } else {
            Rig::owner_on_one_connection().await
        };
        rig.grant_everything().await;
        let mut superuser = rig.superuser().await;
        for sql in prepare {
            superuser.execute(AssertSqlSafe((*sql).to_owned())).await.unwrap();
        }
        let sight = Sight::of(&rig).await;
        (rig, sight)
    });
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        // A failure that is wanted need not be a small one.
        max_shrink_iters: if prepare.is_empty() { 64 } else { 0 },
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(&units(), |units| runtime.block_on(run(&rig, &sight, &units)))
}

#[test]
fn whatever_two_tenants_do_neither_sees_or_changes_what_is_the_others() {
    try_it(true, 64, &[]).unwrap();
}

#[test]
fn the_owner_of_the_tables_sees_no_other_tenant_within_a_unit_of_work() {
    try_it(false, 32, &[]).unwrap();
}

/// The property is worth something only if it fails without the policies: each of them opened in turn.
#[test]
fn a_policy_that_lets_others_see_rows_is_noticed() {
    for table in TABLES {
        let open = format!("CREATE POLICY hole ON {table} FOR SELECT USING (true)");
        let noticed = try_it(true, 8, &[&open]);
        assert!(matches!(noticed, Err(TestError::Fail(..))), "{table}: {noticed:?}");
    }
}

#[test]
fn a_policy_that_lets_others_change_rows_is_noticed() {
    for (table, command) in [
        ("reference.records", "UPDATE USING (true)"),
        ("reference.records", "DELETE USING (true)"),
        ("reference.records", "INSERT WITH CHECK (true)"),
        ("reference.memberships", "DELETE USING (true)"),
        ("reference.users", "UPDATE USING (true)"),
        ("aftercommit.outbox", "INSERT WITH CHECK (true)"),
        ("aftercommit.outbox", "DELETE USING (true)"),
    ] {
        let open = format!("CREATE POLICY hole ON {table} FOR {command}");
        let noticed = try_it(true, 300, &[&open]);
        assert!(
            matches!(noticed, Err(TestError::Fail(..))),
            "{table}: {command}: {noticed:?}"
        );
    }
}

const TABLES: [&str; 11] = [
    "reference.organizations",
    "reference.projects",
    "reference.memberships",
    "reference.api_keys",
    "reference.invitations",
    "reference.invitation_tokens",
    "reference.records",
    "reference.search_index",
    "reference.notifications",
    "reference.requests",
    "aftercommit.outbox",
];
