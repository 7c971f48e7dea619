//! JSON, text and ids as they may come from anyone, and changes to what was valid.

use std::fmt::Write as _;

use arbitrary::Result;

use crate::Drawn;

/// Texts that somebody once found a hole with.
const ODD_TEXTS: [&str; 22] = [
    "",
    " ",
    "a",
    "0",
    "-1",
    "null",
    "é東🙂",
    "\u{202e}txt",
    "\u{1b}[2J",
    "a\r\nb: c",
    "\u{7f}\u{9b}",
    "..",
    "/",
    "a/b",
    "*.#",
    "%s%n",
    "' OR 1=1 --",
    "<script>",
    "{{7*7}}",
    "\u{1f}",
    "infinity",
    "canary:secret@host",
];
/// Numbers at the edges of what somebody reads them into.
const ODD_NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "1",
    "-1",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "12345678901234567890123",
    "1.5",
    "1e400",
    "-1E-400",
    "1e200000",
];
/// What stands within quotes in JSON and is more than it looks like.
const ODD_ESCAPES: [&str; 12] = [
    r"\u0000",
    r"\\u0000",
    r"\\\u0000",
    r"\ud83d",
    r"\udc00",
    r"\ud83d\ude42",
    r"\/",
    r#"\""#,
    r"\\",
    r"\n",
    r"\u001f",
    r"\uFEFF",
];

/// Any text, mostly short.
pub fn any_text(drawn: &mut Drawn<'_>) -> Result<String> {
    Ok(match drawn.int_in_range(0..=9)? {
        0..=5 => (*drawn.choose(&ODD_TEXTS)?).to_owned(),
        6 | 7 => drawn.arbitrary::<&str>()?.chars().take(300).collect(),
        _ => {
            let unit = *drawn.choose(&["x", "é", "🙂", "-", "a.b/"])?;
            unit.repeat(drawn.int_in_range(1..=400)?)
        }
    })
}

/// An id in its one spelling, or nearly.
pub fn unique_id(drawn: &mut Drawn<'_>) -> Result<String> {
    let id = format!("0192f0c1-7a3b-7c4d-8e5f-{:012x}", drawn.int_in_range(0..=0xffff_u64)?);
    Ok(match drawn.int_in_range(0..=11)? {
        0 => id.to_uppercase(),
        1 => format!("{{{id}}}"),
        2 => id.replace('-', ""),
        3 => "00000000-0000-0000-0000-000000000000".into(),
        4 => any_text(drawn)?,
        _ => id,
    })
}

/// Any JSON, or nearly.
pub fn any_json(drawn: &mut Drawn<'_>) -> Result<String> {
    let mut out = String::new();
    write_json(drawn, &mut out, 0)?;
    Ok(out)
}

fn write_json(drawn: &mut Drawn<'_>, out: &mut String, depth: u32) -> Result<()> {
    let most = if depth > 5 { 5 } else { 9 };
    match drawn.int_in_range(0..=most)? {
        0 => out.push_str(drawn.choose(&["null", "true", "false", "nul", "NaN", "Infinity", "01", "+1", ".5"])?),
        1 => out.push_str(drawn.choose(&ODD_NUMBERS)?),
        2 | 3 => write_string(drawn, out)?,
        4 => {
            let _ = write!(out, "{}", drawn.arbitrary::<i64>()?);
        }
        5 => {
            let deep = drawn.int_in_range(0..=100)?;
            out.extend(std::iter::repeat_n('[', deep));
            out.push('1');
            out.extend(std::iter::repeat_n(']', deep));
        }
        6 | 7 => {
            out.push('{');
            for field in 0..drawn.int_in_range(0..=4)? {
                if field > 0 {
                    out.push(',');
                }
                write_string(drawn, out)?;
                out.push_str(drawn.choose(&[":", " : ", ":\n"])?);
                write_json(drawn, out, depth + 1)?;
            }
            out.push('}');
        }
        _ => {
            out.push('[');
            for item in 0..drawn.int_in_range(0..=6)? {
                if item > 0 {
                    out.push(',');
                }
                write_json(drawn, out, depth + 1)?;
            }
            out.push(']');
        }
    }
    Ok(())
}

fn write_string(drawn: &mut Drawn<'_>, out: &mut String) -> Result<()> {
    out.push('"');
    for _ in 0..drawn.int_in_range(0..=3)? {
        if drawn.ratio(1, 3)? {
            out.push_str(drawn.choose(&ODD_ESCAPES)?);
        } else {
            // Few different ones, so that keys come twice.
            out.push_str(drawn.choose(&["a", "b", "id", "data", "é", "\u{7f}", "u0000", "{", "]", ","])?);
        }
    }
    out.push('"');
    Ok(())
}

/// The bytes as they are, or with a few of them changed, taken out, put in, or cut off.
pub fn mutated(drawn: &mut Drawn<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    if !drawn.ratio(1, 3)? {
        return Ok(bytes);
    }
    for _ in 0..drawn.int_in_range(1..=3)? {
        if bytes.is_empty() {
            break;
        }
        let at = drawn.int_in_range(0..=bytes.len() - 1)?;
        match drawn.int_in_range(0..=5)? {
            0 => bytes[at] = drawn.arbitrary()?,
            1 => bytes[at] ^= 1 << drawn.int_in_range(0..=7)?,
            2 => {
                bytes.remove(at);
            }
            3 => {
                let piece: &[u8] = drawn.choose(&[
                    &b"\0"[..],
                    b"\"",
                    b"\\",
                    b",",
                    b"}",
                    b"[[[[",
                    b"\xff",
                    b"\xef\xbb\xbf",
                    b"\n",
                    b"\xc3",
                    b"=",
                    b"%00",
                ])?;
                bytes.splice(at..at, piece.iter().copied());
            }
            4 => bytes.truncate(at),
            _ => {
                let end = drawn.int_in_range(at..=bytes.len() - 1)?;
                let piece = bytes[at..end].to_vec();
                bytes.extend(piece);
            }
        }
    }
    Ok(bytes)
}
