//! Whatever is typed or printed: a command line is understood, or refused with its usage and status 2; no text steers the
//! terminal; a document stays the same document.

use std::ffi::OsString;

use aftercommit::domain::time::{Clock, Timestamp};
use aftercommit_fuzz::{Drawn, any_json, any_text, fuzz_target, mutated, unique_id};

use crate::cli::Cli;
use crate::indented_json::indented;
use crate::printable::{printable, printable_json, printable_lines, truncated};
use crate::time_arguments::{Since, delay};

fuzz_target!(
    fuzz_command_line,
    arguments,
    whatever_is_typed_is_answered_and_nothing_steers_the_terminal
);

/// Arguments with a line break between them.
fn arguments(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    const WORDS: [&str; 43] = [
        "run",
        "events",
        "emit",
        "list",
        "show",
        "tasks",
        "publish",
        "dead-letters",
        "dead-letter",
        "replay",
        "discard",
        "outbox",
        "status",
        "topics",
        "routes",
        "migrate",
        "doctor",
        "config",
        "check",
        "reference",
        "help",
        "--help",
        "-V",
        "--json",
        "--yes",
        "-y",
        "--limit",
        "--limit=5",
        "--topic",
        "--state",
        "dead",
        "--since",
        "--name",
        "--organization",
        "--payload",
        "{}",
        "@/does/not/exist",
        "-",
        "--delay",
        "--format",
        "mermaid",
        "--",
        "--nope",
    ];
    const TIMES: [&str; 14] = [
        "1h",
        "1h 30m",
        "90s",
        "7d",
        "1M",
        "1y",
        "-1h",
        "2026-11-23T10:00:00Z",
        "+262142-12-31T23:59:59Z",
        "18446744073709551615d",
        "9999999999999999h",
        "500ms",
        "0s",
        "584542046090y",
    ];
    let mut words = Vec::new();
    for _ in 0..drawn.int_in_range(0..=7)? {
        words.push(match drawn.int_in_range(0..=9)? {
            0 => any_text(drawn)?,
            1 => unique_id(drawn)?,
            2 => (*drawn.choose(&TIMES)?).to_owned(),
            3 => any_json(drawn)?,
            _ => (*drawn.choose(&WORDS)?).to_owned(),
        });
    }
    mutated(drawn, words.join("\n").into_bytes())
}

fn whatever_is_typed_is_answered_and_nothing_steers_the_terminal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    is_answered(&text);
    for word in text.split('\n') {
        if let Ok(duration) = delay(word) {
            let of_a_unit = |unit: &str| word.replace(' ', "").split(unit).count() > 1;
            assert!(
                word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' '),
                "{word}"
            );
            assert!(
                duration.is_zero() || ["s", "m", "h", "d"].into_iter().any(of_a_unit),
                "{word}"
            );
        }
        if let Ok(since) = word.parse::<Since>() {
            let _ = since.resolve(&Now);
        }
        if let Ok(json) = serde_json::from_str::<&serde_json::value::RawValue>(word) {
            stays_the_same_document(json.get());
        }
    }
    for shown in [
        printable(&text),
        printable_lines(&text),
        printable_json(&text),
        indented(&text),
    ] {
        assert!(!steers(&shown), "{shown:?}");
    }
    assert!(!printable(&text).contains('\n'));
    let cut = truncated(&printable(&text), 20);
    assert!(unicode_width::UnicodeWidthStr::width(cut.as_str()) <= 20, "{cut}");
}

fn is_answered(text: &str) {
    let arguments: Vec<OsString> = std::iter::once("aftercommit")
        .chain(text.split('\n'))
        .map(OsString::from)
        .collect();
    let Err(no_command) = Cli::read(&arguments) else { return };
    let told = no_command.told();
    assert!(matches!(no_command.exit_code(), 0 | 2));
    assert!(!steers(&told), "{told:?}");
    assert!(
        no_command.exit_code() == 0 || told.contains("Usage: aftercommit"),
        "{told}"
    );
    assert!(told.len() < 16 * 1024 + 20 * text.len(), "{} bytes", told.len());
}

/// Whether a terminal would do something else than show it.
fn steers(text: &str) -> bool {
    text.contains(|c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || ('\u{202a}'..='\u{202e}').contains(&c)
    })
}

fn stays_the_same_document(json: &str) {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).map_err(|error| error.to_string());
    let Ok(before) = value(json) else { return };
    assert_eq!(value(&printable_json(json)), Ok(before.clone()), "{json}");
    assert_eq!(value(&indented(json)), Ok(before), "{json}");
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
