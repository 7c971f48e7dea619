//! Text from outside, made fit for a terminal: it can neither steer it nor pass itself off as something else.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text with every control character, line break, change of direction and invisible character escaped.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |out, character| out.extend(character.escape_default()))
}

/// The same for lines of JSON or prose that are printed whole: line breaks stay.
pub(crate) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// JSON in which the same characters are escaped: JSON itself escapes only some of them.
pub(crate) fn printable_json(json: &str) -> String {
    escaped(json, |out, character| {
        // Between values, line breaks are not text from outside; within them, JSON has escaped them already.
        if matches!(character, '\n' | '\r' | '\t') {
            return out.push(character);
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// At most `width` columns of a terminal; what is cut off leaves an ellipsis.
pub(crate) fn truncated(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut columns = 0;
    for character in text.chars() {
        columns += character.width().unwrap_or_default();
        if columns >= width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    out
}

fn escaped(text: &str, mut escape: impl FnMut(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            escape(&mut out, character);
        } else {
            out.push(character);
        }
    }
    out
}

/// Control characters, marks and overrides of direction, line separators, invisible characters, and tags.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_steer_the_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}txt.exe\u{2066}\u{200b}\0\u{e0041}";
        let shown = printable(hostile);
        assert_eq!(
            shown,
            "a\\u{1b}[2J\\u{9b}31m\\u{7}\\r\\n\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{0}\\u{e0041}"
        );
        assert_eq!(printable("Zoë 東京 🙂"), "Zoë 東京 🙂");
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({"name": "a\u{9b}31m\u{202e}\u{e0041}\u{1b}\n東京"});
        let shown = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !shown.contains(['\u{9b}', '\u{202e}', '\u{e0041}', '\u{1b}']),
            "{shown}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns() {
        assert_eq!(truncated("abcdef", 6), "abcdef");
        assert_eq!(truncated("abcdefg", 6), "abcde…");
        assert_eq!(truncated("東京東京", 6), "東京…");
    }
}
