//! `aftercommit.write_event`: events from any language.

use aftercommit_domain::contract::{Cause, EventEnvelope, Limits, Tenant};
use aftercommit_domain::events::Outbox as _;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_testkit::conformance::Messages;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::processes::{SOON, count};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_written_in_sql_is_an_event_like_any_other() {
    let rig = Rig::start().await;
    let pool = &rig.database.pools().handlers;
    for call in [
        r#"aftercommit.write_event('OrderPaid', '7', '9', 'order', '42', '{"total": 1e3, "note": "a \"b\" \\ c"}')"#,
        "aftercommit.write_event('OrderPaid', '7', NULL, 'order', '42', '{}', 3, 'request-1')",
        "aftercommit.write_event('OrderPaid', NULL, NULL, 'order', 'ümläut \"quoted\"', json_build_object('a', 1))",
        // A backslash before a u and four zeros is not the character U+0000.
        r#"aftercommit.write_event('OrderPaid', '8', NULL, 'order', '43', '{"path": "C:\\u0000"}')"#,
    ] {
        pool.execute(AssertSqlSafe(format!("SELECT {call}"))).await.unwrap();
    }
    let claimed = rig.database.outbox().claim(10, SOON).await.unwrap();
    let events: Vec<EventEnvelope> = claimed
        .iter()
        .map(|row| EventEnvelope::decode(&row.message.body, &Limits::default()).unwrap())
        .collect();
    assert_eq!(events.len(), 4);
    let first = events.iter().find(|event| event.tenant.project_id().is_some()).unwrap();
    assert_eq!(first.aggregate.to_string(), "order/42");
    assert_eq!(first.payload.as_str(), r#"{"total": 1e3, "note": "a \"b\" \\ c"}"#);
    assert_eq!(first.id.uuid().get_version_num(), 7);
    let second = events.iter().find(|event| event.version == 3).unwrap();
    assert_eq!(second.cause.correlation.as_ref().unwrap().as_str(), "request-1");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_written_in_sql_stays_in_order_with_those_of_its_aggregate_that_were_not() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut unit = units.begin(&Tenant::organization(1_i64), &Cause::root()).await.unwrap();
    unit.outbox().append(vec![messages.row("a")]).await.unwrap();
    unit.commit().await.unwrap();
    for project in ["NULL", "'10'", "'11'"] {
        let call = format!("SELECT aftercommit.write_event('LetterWritten', '1', {project}, 'letter', 'a', '{{}}')");
        rig.database
            .pools()
            .handlers
            .execute(AssertSqlSafe(call))
            .await
            .unwrap();
    }
    let outbox = rig.database.outbox();
    for place in 0..4 {
        let head = outbox.claim(1, SOON).await.unwrap();
        assert_eq!(head.len(), 1, "row {place}");
        assert!(outbox.claim(10, SOON).await.unwrap().is_empty(), "row {place} is held");
        outbox.mark_published(&[head[0].claim]).await.unwrap();
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_fails_its_transaction_and_says_why() {
    let rig = Rig::start().await;
    let long = "x".repeat(300_000);
    let cases = [
        ("'order paid', '7', '9', 'order', '42', '{}'", "no event name"),
        ("NULL, '7', '9', 'order', '42', '{}'", "no event name"),
        (
            "'OrderPaid', NULL, '9', 'order', '42', '{}'",
            "a project id without an organization id",
        ),
        ("'OrderPaid', ' 7', '9', 'order', '42', '{}'", "no tenant id"),
        ("'OrderPaid', '', '9', 'order', '42', '{}'", "no tenant id"),
        ("'OrderPaid', '7', E'a\\nb', 'order', '42', '{}'", "no tenant id"),
        ("'OrderPaid', '7', '9', 'Order', '42', '{}'", "no aggregate type"),
        ("'OrderPaid', '7', '9', 'order-', '42', '{}'", "no aggregate type"),
        ("'OrderPaid', '7', '9', 'order', '', '{}'", "the aggregate id is empty"),
        ("'OrderPaid', '7', '9', 'order', repeat('x', 200), '{}'", "too long"),
        ("'OrderPaid', '7', '9', 'order', '42', '[]'", "no JSON object"),
        ("'OrderPaid', '7', '9', 'order', '42', NULL", "no JSON object"),
        (
            "'OrderPaid', '7', '9', 'order', '42', '{'",
            "invalid input syntax for type json",
        ),
        (r#"'OrderPaid', '7', '9', 'order', '42', '{"a": "\u0000"}'"#, "U+0000"),
        (r#"'OrderPaid', '7', '9', 'order', '42', '{"a": "\\\u0000"}'"#, "U+0000"),
        ("'OrderPaid', '7', '9', 'order', '42', '{}', 0", "no schema version"),
        (
            "'OrderPaid', '7', '9', 'order', '42', '{}', 1, ''",
            "the correlation id is empty",
        ),
        (
            &format!("'OrderPaid', '7', '9', 'order', '42', '{{\"a\": \"{long}\"}}'"),
            "at most 262144 are allowed",
        ),
    ];
    let pool = &rig.database.pools().handlers;
    pool.execute("CREATE TABLE public.orders (id bigint)").await.unwrap();
    for (arguments, expected) in cases {
        let sql =
            format!("BEGIN; INSERT INTO public.orders VALUES (1); SELECT aftercommit.write_event({arguments}); COMMIT");
        let error = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected),
            "{}: {error}",
            &arguments[..arguments.len().min(60)]
        );
        pool.execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(count(&rig, "SELECT count(*) FROM public.orders").await, 0);
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, 0);
    rig.stop().await;
}
