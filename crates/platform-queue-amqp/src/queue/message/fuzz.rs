//! Whatever a message says of itself, the attempts it tells of are believable, its content is JSON or named in a few words,
//! and what we write ourselves is read as what it was.

use aftercommit_domain::contract::{Limits, RawTask};
use aftercommit_fuzz::{Drawn, any_text, fuzz_target, mutated};

use super::*;
use crate::queue::arrival::id_of_bytes;
use crate::topology::{LEVELS, LONGEST_DELAY, entry_level, routing_key};

fuzz_target!(fuzz_messages, message, what_a_message_says_of_itself_is_bounded);

/// Lines: content type, content encoding, the kind and the value of the header with the attempts, and a wait in
/// seconds; then the body.
fn message(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let kind = match drawn.int_in_range(0..=3)? {
        0 => String::new(),
        1 => any_text(drawn)?.replace('\n', " "),
        _ => (*drawn.choose(&[
            "application/json",
            "Application/JSON ; charset=utf-8",
            "application/cloudevents+json",
            "text/xml",
            "+json",
            ";",
        ])?)
        .to_owned(),
    };
    let encoding = *drawn.choose(&["", "", "gzip", "identity", "UTF-8", " deflate, br ", "\u{1b}[2J"])?;
    let header = drawn.int_in_range(0..=9)?;
    let attempts = *drawn.choose(&[0, 1, 7, -1, 127, 1_000_000, 1_000_001, i64::MAX, i64::MIN, 1 << 31])?;
    let wait = match drawn.int_in_range(0..=2)? {
        0 => drawn.arbitrary::<u64>()?,
        1 => *drawn.choose(&[0, 1, 86_399, 86_400, 131_071, 131_072, u64::MAX])?,
        _ => drawn.int_in_range(0..=90_000)?,
    };
    let head = format!("{kind}\n{encoding}\n{header}\n{attempts}\n{wait}\n");
    let body = mutated(drawn, b"{\"id\":\"0192f0c1-7a3b-7c4d-8e5f-0123456789ab\"}".to_vec())?;
    Ok([head.into_bytes(), body].concat())
}

fn what_a_message_says_of_itself_is_bounded(input: &[u8]) {
    let mut lines = input.splitn(6, |byte| *byte == b'\n');
    let mut line = || lines.next().map(|line| String::from_utf8_lossy(line).into_owned());
    let (Some(kind), Some(encoding), Some(header), Some(attempts), Some(wait)) =
        (line(), line(), line(), line(), line())
    else {
        return;
    };
    let body = lines.next().unwrap_or_default();
    let mut properties = BasicProperties::default();
    if let (Ok(kind), Ok(encoding)) = (short(&kind), short(&encoding)) {
        properties = properties.with_content_type(kind).with_content_encoding(encoding);
    }
    let mut headers = FieldTable::default();
    headers.insert(ATTEMPTS.into(), value(&header, attempts.parse().unwrap_or_default()));
    properties = properties.with_headers(headers);

    let attempts = attempts_of(&properties);
    assert!(attempts <= MOST_ATTEMPTS);
    let said = foreign_content(&properties);
    if let Some(said) = &said {
        assert!(said.len() <= 2 * 255 * 3 + 1, "{said}");
    }
    let task = RawTask {
        topic: TopicName::constant("letters"),
        foreign_content: said,
        body: Arc::from(body),
    };
    assert_eq!(
        id_of_bytes(&task),
        id_of_bytes(&task.clone()),
        "the same however often it comes"
    );
    let _ = TaskEnvelope::decode(body, &Limits::default());
    written_is_read(attempts, &encoding);
    a_wait_has_a_way(Duration::new(wait.parse().unwrap_or_default(), attempts % 1000));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "any value of each kind will do"
)]
fn value(kind: &str, attempts: i64) -> AMQPValue {
    match kind {
        "0" => AMQPValue::LongLongInt(attempts),
        "1" => AMQPValue::LongInt(attempts as i32),
        "2" => AMQPValue::LongUInt(attempts as u32),
        "3" => AMQPValue::ShortInt(attempts as i16),
        "4" => AMQPValue::ShortUInt(attempts as u16),
        "5" => AMQPValue::ShortShortInt(attempts as i8),
        "6" => AMQPValue::ShortShortUInt(attempts as u8),
        "7" => AMQPValue::Double(attempts as f64),
        "8" => AMQPValue::LongString(attempts.to_string().into()),
        _ => AMQPValue::Void,
    }
}

fn written_is_read(attempts: u32, failure: &str) {
    let message = Outgoing {
        id: "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap(),
        topic: TopicName::constant("letters"),
        ordering: None,
        exchange: String::new(),
        key: String::new(),
        body: Arc::from(b"{}".as_slice()),
        content_type: CONTENT_TYPE,
        must_be_routed: true,
        attempts,
        due: None,
        failure: Some(failure.repeat(100)),
    };
    let properties = message.properties().unwrap();
    assert_eq!(attempts_of(&properties), attempts);
    assert_eq!(foreign_content(&properties), None);
    let headers = properties.headers().as_ref().unwrap();
    let Some(AMQPValue::LongString(kept)) = headers.inner().get(FAILURE) else {
        panic!("the failure is not there")
    };
    assert!(kept.as_bytes().len() <= FAILURE_BYTES);
    assert!(std::str::from_utf8(kept.as_bytes()).is_ok(), "cut within a character");
}

/// The bits of the routing key are the wait in seconds, never shorter than what was asked for, up to the longest one.
fn a_wait_has_a_way(wait: Duration) {
    let key = routing_key(&TopicName::constant("letters"), wait);
    let bits = key.split('.').take(LEVELS as usize);
    let seconds = bits.fold(0, |seconds, bit| seconds * 2 + u64::from(bit == "1"));
    assert_eq!(entry_level(wait), seconds.checked_ilog2());
    if wait <= LONGEST_DELAY {
        let way = Duration::from_secs(seconds);
        assert!(
            way >= wait && way < wait + Duration::from_secs(1),
            "{wait:?} becomes {way:?}"
        );
    }
}
