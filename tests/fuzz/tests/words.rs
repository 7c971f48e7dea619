//! The words of an error, ids, names, keys, traces and durations: whatever comes, what is kept of it is bounded and clean.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use aftercommit_domain::contract::{
    AggregateType, BoundedText, CorrelationId, DispatchKey, EventName, OrderKey, OrganizationId, StorageKey, TaskName,
    TopicName, TraceContext,
};
use aftercommit_domain::failure::{ErrorClass, Failure, MAX_FAILURE_TEXT, bounded_text};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Patience, Reason, RetryPolicy};
use aftercommit_domain::time::{Timestamp, after, before};
use aftercommit_fuzz::{Drawn, any_text, fuzz_target, mutated, unique_id};

fuzz_target!(fuzz_words, words, whatever_comes_what_is_kept_is_bounded_and_clean);

fn words(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let text = match drawn.int_in_range(0..=6)? {
        0 => unique_id(drawn)?,
        1 => (*drawn.choose(&["invitation-email", "ProjectCreated", "records/acme/web/1"])?).to_owned(),
        2 => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        3 => format!(
            "{} {}{}{}",
            any_text(drawn)?,
            drawn.choose(&[
                "postgres://me:",
                "password=",
                "Authorization: Bearer ",
                "\"token\": \"",
                "pwd: "
            ])?,
            any_text(drawn)?,
            drawn.choose(&["@db.example/app", "\" rest", "&x=1", ""])?,
        ),
        4 => any_text(drawn)?.repeat(drawn.int_in_range(1..=300)?),
        _ => any_text(drawn)?,
    };
    mutated(drawn, text.into_bytes())
}

fn whatever_comes_what_is_kept_is_bounded_and_clean(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let kept = bounded_text(&text);
    assert!(kept.len() <= MAX_FAILURE_TEXT);
    assert!(!kept.contains(|c: char| c.is_control() && c != '\n'), "{kept:?}");
    assert_eq!(bounded_text(&kept), kept, "what is kept once is kept");
    let failure = Failure::new("x", ErrorClass::Retryable, &text);
    assert!(failure.fingerprint().len() <= 400);
    assert_eq!(Reason::new(&text).as_str(), failure.message);

    // A name has one spelling, and is the text it came as.
    macro_rules! has_one_spelling {
        ($($name:ty: $longest:expr),* $(,)?) => {
            $(if let Ok(name) = text.parse::<$name>() {
                assert_eq!(name.to_string(), text);
                assert!(!text.is_empty() && text.len() <= $longest, "{text:?}");
                assert!(!text.contains(|c: char| c.is_ascii_control()), "{text:?}");
            })*
        };
    }
    has_one_spelling!(
        MessageId: 36, TopicName: 120, TaskName: 120, EventName: 120, AggregateType: 120, OrderKey: 200,
        DispatchKey: 200, OrganizationId: 64,
    );
    if let Ok(id) = CorrelationId::new(&text) {
        assert!(id.as_str() == text && text.len() <= 200);
    }
    if let Ok(key) = StorageKey::new(text.clone().into_owned()) {
        assert_eq!(key.as_str(), text);
    }
    let of_any = OrderKey::of(&text);
    assert!(OrderKey::new(of_any.as_str()).is_ok() && OrderKey::of(&text) == of_any);
    if let Ok(bounded) = BoundedText::<16>::new(text.clone().into_owned()) {
        assert!(bounded.as_str().len() <= 16);
    }
    if let Ok(trace) = TraceContext::parse(&text, Some(&text)) {
        assert_eq!((trace.traceparent(), trace.trace_id().len()), (&*text, 32));
        assert!(trace.tracestate().is_none_or(|state| state.len() <= 512));
    }
    numbers(input);
}

/// No arithmetic over times and attempts overflows.
fn numbers(input: &[u8]) {
    let mut bytes = [0; 40];
    for (to, from) in bytes.iter_mut().zip(input) {
        *to = *from;
    }
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (first, second) = (Duration::from_millis(number(0)), Duration::from_millis(number(8)));
    let policy = RetryPolicy {
        max_attempts: 3,
        base: first,
        factor: f64::from_bits(number(16)),
        max_delay: second,
    };
    let attempt = u32::try_from(number(24) >> 32).unwrap();
    assert!(policy.delay(attempt, f64::from_bits(number(32))) <= policy.max_delay);
    let patience = Patience { whole: first };
    assert!(
        patience
            .again(second)
            .is_none_or(|again| !again.is_zero() && second + again <= first)
    );
    for time in [Timestamp::UNIX_EPOCH, Timestamp::MAX_UTC, Timestamp::MIN_UTC] {
        assert!(before(time, first) <= time && after(time, first) >= time);
    }
}
