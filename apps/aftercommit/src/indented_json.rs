//! JSON for people: the same document with line breaks.

use crate::printable::printable_json;

/// The document with each value on a line of its own, made printable. Keys keep their order and numbers their digits,
/// which reading it into values would not do.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut characters = json.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_text => {
                out.push(character);
                out.extend(characters.next());
            }
            '"' => {
                in_text = !in_text;
                out.push(character);
            }
            _ if in_text => out.push(character),
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                out.push(character);
                depth += 1;
                // An empty one stays on its line.
                if !characters.as_str().trim_start().starts_with(['}', ']']) {
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !out.ends_with(['{', '[']) {
                    break_line(&mut out, depth);
                }
                out.push(character);
            }
            ',' => {
                out.push(character);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(character),
        }
    }
    printable_json(&out)
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_stays_the_same() {
        let json = r#"{"z": 12345678901234567890123, "a":[ ], "t":"a: {\"b\", [c]}\\", "l":[1,{"x":null},{}]}"#;
        assert_eq!(
            indented(json),
            r#"{
  "z": 12345678901234567890123,
  "a": [],
  "t": "a: {\"b\", [c]}\\",
  "l": [
    1,
    {
      "x": null
    },
    {}
  ]
}"#
        );
    }
}
