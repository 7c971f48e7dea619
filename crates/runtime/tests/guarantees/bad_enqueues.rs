//! What a caller cannot enqueue: the code and the words of each refusal, and that nothing was stored.
//!
//! Some bad input cannot be written down in Rust: a contract without a tenant, a header of one's own, a negative or
//! fractional delay, a text as an expiration, an id that is no UUID.

use std::fmt::Display;
use std::time::Duration;

use aftercommit_domain::catalogue;
use aftercommit_domain::contract::{
    AggregateType, BoundedText, Cause, CorrelationId, DispatchKey, EventName, OrderKey, OrganizationId, ProjectId,
    StorageKey, TaskName, Tenant, TopicName,
};
use aftercommit_domain::events::{
    DomainEvent, EventsPublisherExt as _, OutboxWriterExt as _, WriteError, create_events_publisher,
};
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{QueuePublisherExt as _, Task, TaskFilter, TaskInspector, TaskOptions};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use serde::{Deserialize, Serialize};

use crate::support::rig::Rig;

/// Carries whatever is too much.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "NoteWritten", version = 1, aggregate = "note")]
struct NoteWritten {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    note: BoundedText<1000>,
    text: BoundedText<1_000_000>,
    numbers: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Task)]
#[task(topic = "notes", name = "send", version = 1)]
struct SendNote {
    organization_id: OrganizationId,
    project_id: ProjectId,
    text: BoundedText<1_000_000>,
    numbers: Vec<u8>,
}

fn event() -> NoteWritten {
    NoteWritten {
        organization_id: 1.into(),
        project_id: 10.into(),
        note: BoundedText::new("7").unwrap(),
        text: BoundedText::new("").unwrap(),
        numbers: Vec::new(),
    }
}

fn task() -> SendNote {
    SendNote {
        organization_id: 1.into(),
        project_id: 10.into(),
        text: BoundedText::new("").unwrap(),
        numbers: Vec::new(),
    }
}

/// One line of the table.
fn line(id: &str, what: &str, told: Result<(), (ErrorClass, &'static str, String)>) -> String {
    match told {
        Ok(()) => format!("{id:4} {what}: taken\n"),
        Err((class, code, words)) => {
            assert_eq!(class, ErrorClass::Permanent, "{what}");
            format!("{id:4} {what}: {code}\n         {words}\n")
        }
    }
}

fn told<T, E: Classified>(result: Result<T, E>) -> Result<(), (ErrorClass, &'static str, String)> {
    result
        .map(drop)
        .map_err(|error| (error.class(), error.code(), error.to_string()))
}

/// Writes it in a transaction of its own, which is committed when it was taken.
async fn write(rig: &Rig, tenant: &Tenant, event: NoteWritten) -> Result<(), WriteError> {
    let mut unit_of_work = rig.store.inner().begin(tenant, &Cause::root()).await.unwrap();
    unit_of_work.outbox().write(event).await?;
    unit_of_work.commit().await.unwrap();
    Ok(())
}

async fn publish_in_transaction(rig: &Rig, task: SendNote, options: TaskOptions) -> Result<(), WriteError> {
    let tenant = Tenant::project(1, 10);
    let mut unit_of_work = rig.store.inner().begin(&tenant, &Cause::root()).await.unwrap();
    unit_of_work.outbox().publish(task, options).await?;
    unit_of_work.commit().await.unwrap();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn whatever_cannot_be_enqueued_is_refused_with_its_code_and_nothing_is_stored() {
    let rig = Rig::new();
    let own = Tenant::project(1, 10);
    let mut table = String::new();

    let long = "x".repeat(256 * 1024);
    let texts = [
        ("B06", "a text of 256 KiB", &*long),
        ("B10", "U+0000 in a text", "a\0b"),
    ];
    for (id, what, text) in texts {
        let text = BoundedText::new(text).unwrap();
        let (mut event, mut task) = (event(), task());
        event.text.clone_from(&text);
        task.text = text;
        let told = told(write(&rig, &own, event.clone()).await);
        table += &line(id, &format!("event, {what}"), told);
        table += &everywhere_else(&rig, id, what, event, task, TaskOptions::default()).await;
    }
    let (mut many, mut task_of_many) = (event(), task());
    many.numbers = vec![7; 50_000];
    task_of_many.numbers.clone_from(&many.numbers);
    table += &line(
        "B08",
        "event, 50 000 numbers",
        told(write(&rig, &own, many.clone()).await),
    );
    table += &everywhere_else(
        &rig,
        "B08",
        "50 000 numbers",
        many,
        task_of_many,
        TaskOptions::default(),
    )
    .await;

    let other = Tenant::project(2, 20);
    table += &line(
        "B17",
        "an event in another tenant's transaction",
        told(write(&rig, &other, event()).await),
    );
    for (what, aggregate) in [
        ("of 300 bytes", "x".repeat(300)),
        ("with a line break", "a\r\nb".into()),
    ] {
        let mut event = event();
        event.note = BoundedText::new(aggregate).unwrap();
        table += &line(
            "B30",
            &format!("an aggregate id {what}"),
            told(write(&rig, &own, event).await),
        );
    }
    let at = |time: &str| TaskOptions {
        run_at: Some(time.parse().unwrap()),
        ..TaskOptions::default()
    };
    for (what, options) in [
        ("the longest delay there is", TaskOptions::delayed(Duration::MAX)),
        ("101 years", TaskOptions::delayed(Duration::from_hours(101 * 365 * 24))),
        ("a time in 1900", at("1900-01-01T00:00:00Z")),
        ("a time in the year 200000", at("+200000-01-01T00:00:00Z")),
    ] {
        table += &line(
            "B26",
            what,
            told(publish_in_transaction(&rig, task(), options.clone()).await),
        );
        let published = rig
            .store
            .inner()
            .publish_task(&rig.envelopes, task(), options, &Cause::root())
            .await;
        table += &line("B26", &format!("{what}, at once"), told(published));
    }
    insta::assert_snapshot!(table);

    assert_eq!(rig.outbox_stats().await.waiting, 0);
    let tasks = TaskInspector::list(rig.store.inner(), &TaskFilter::default())
        .await
        .unwrap();
    assert_eq!(tasks, []);
    // And the catalogue's own reading of what a person types says the same.
    let typed = aftercommit_domain::contract::Json::parse(
        serde_json::json!({"organization_id": "1", "project_id": "10", "note": "x".repeat(300), "text": "", "numbers": []})
            .to_string(),
        rig.envelopes.codec().limits(),
    );
    let read = catalogue![NoteWritten].read_input("NoteWritten", &typed.unwrap(), &rig.envelopes, &Cause::root());
    assert_eq!(read.unwrap_err().code(), "name.invalid");
}

/// The same by the direct rail, by a task in a transaction, and by a task at once.
async fn everywhere_else(
    rig: &Rig,
    id: &str,
    what: &str,
    event: NoteWritten,
    task: SendNote,
    options: TaskOptions,
) -> String {
    let queue = std::sync::Arc::new(rig.store.inner().clone());
    let direct = create_events_publisher(queue, *rig.envelopes.codec().limits());
    let direct = direct.publish_direct(&rig.envelopes, event, &Cause::root()).await;
    let in_transaction = publish_in_transaction(rig, task.clone(), options.clone()).await;
    let at_once = rig
        .store
        .inner()
        .publish_task(&rig.envelopes, task, options, &Cause::root())
        .await;
    [
        line(id, &format!("direct event, {what}"), told(direct)),
        line(id, &format!("task, {what}"), told(in_transaction)),
        line(id, &format!("task at once, {what}"), told(at_once)),
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
async fn no_delay_and_a_time_that_is_past_are_now() {
    let rig = Rig::new();
    let past = TaskOptions {
        run_at: Some("1970-01-01T00:00:00Z".parse().unwrap()),
        ..TaskOptions::default()
    };
    for options in [
        TaskOptions::delayed(Duration::ZERO),
        past,
        TaskOptions::delayed(Duration::from_hours(100 * 365 * 24)),
    ] {
        publish_in_transaction(&rig, task(), options).await.unwrap();
    }
    assert_eq!(rig.outbox_stats().await.waiting, 3);
}

/// What is refused, in the words of its type.
fn refused<T, E: Display>(text: &str, result: Result<T, E>) -> String {
    let words = result.map_or_else(|error| error.to_string(), |_| "taken".into());
    let shown: String = text.escape_debug().take(40).collect();
    format!("  \"{shown}\": {words}\n")
}

#[test]
fn a_text_that_is_no_name_key_or_id_is_refused_in_words_that_say_what_it_must_be() {
    let (of_121, of_201, of_65) = ("x".repeat(121), "x".repeat(201), "x".repeat(65));
    let names = ["", "a*b #", "A b", "send--mail", "é", "a\r\nb", &of_121];
    let keys = ["", "a\0b", "a\r\nb", "\u{7f}", &of_201];
    let ids = [
        "",
        "42",
        "0192F0C1-7A3B-7C4D-8E5F-0123456789AB",
        "{0192f0c1-7a3b-7c4d-8e5f-0123456789ab}",
        "00000000-0000-0000-0000-000000000000",
        "0192f0c17a3b7c4d8e5f0123456789ab",
    ];
    let mut table = String::new();
    let mut of = |id: &str, kind: &str, texts: &[&str], read: &dyn Fn(&str) -> String| {
        table.push_str(&[id, " ", kind, "\n"].concat());
        table.extend(texts.iter().map(|text| read(text)));
    };
    of("B21", "TopicName", &names, &|text| refused(text, TopicName::new(text)));
    of("B21", "TaskName", &names, &|text| refused(text, TaskName::new(text)));
    of("B21", "AggregateType", &names, &|text| {
        refused(text, AggregateType::new(text))
    });
    of("B21", "EventName", &names, &|text| refused(text, EventName::new(text)));
    of("B30", "OrderKey", &keys, &|text| refused(text, OrderKey::new(text)));
    of("B30", "DispatchKey", &keys, &|text| {
        refused(text, DispatchKey::new(text))
    });
    of("B22", "CorrelationId", &keys, &|text| {
        refused(text, CorrelationId::new(text))
    });
    of("B16", "OrganizationId", &["", " a", "a\n", &of_65], &|text| {
        refused(text, OrganizationId::new(text))
    });
    of("B16", "ProjectId", &["", " a", "a\n", &of_65], &|text| {
        refused(text, ProjectId::new(text))
    });
    of("B18", "MessageId", &ids, &|text| {
        refused(text, text.parse::<MessageId>())
    });
    let of_513 = "x".repeat(513);
    of("B06", "StorageKey", &[&of_513], &|text| {
        refused(text, StorageKey::new(text))
    });
    insta::assert_snapshot!(table);
}
