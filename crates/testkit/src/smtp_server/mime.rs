//! As much of MIME as a test needs to read an e-mail: headers, encoded words, and the parts of a multipart body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first header of this name, unfolded, with encoded words decoded.
pub(super) fn header(message: &str, name: &str) -> Option<String> {
    raw_header(message, name).map(|value| decode_words(&value))
}

/// The decoded body of the first part of this type; the message itself counts as a part.
pub(super) fn part(message: &str, content_type: &str) -> Option<String> {
    let own_type = raw_header(message, "Content-Type").unwrap_or_else(|| "text/plain".to_owned());
    let (_, body) = message.split_once("\r\n\r\n")?;
    if own_type.to_ascii_lowercase().starts_with(content_type) {
        let encoding = raw_header(message, "Content-Transfer-Encoding").unwrap_or_default();
        let bytes = match encoding.to_ascii_lowercase().as_str() {
            "quoted-printable" => quoted_printable(body),
            "base64" => STANDARD
                .decode(body.split_ascii_whitespace().collect::<String>())
                .ok()?,
            _ => body.as_bytes().to_vec(),
        };
        return String::from_utf8(bytes).ok();
    }
    let (_, boundary) = own_type.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let opened = format!("\r\n{body}");
    opened
        .split(&format!("\r\n--{boundary}"))
        .skip(1)
        .take_while(|part| !part.starts_with("--"))
        .find_map(|inner| part(inner.strip_prefix("\r\n")?, content_type))
}

fn raw_header(message: &str, name: &str) -> Option<String> {
    let (head, _) = message.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n").peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if !key.eq_ignore_ascii_case(name) {
            continue;
        }
        let mut value = value.trim().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        return Some(value);
    }
    None
}

/// Decodes `=?utf-8?b?…?=` and `=?utf-8?q?…?=`; white space between two of them belongs to neither.
fn decode_words(text: &str) -> String {
    let mut decoded = String::new();
    let mut after_word = false;
    for token in text.split_inclusive(' ') {
        let word = decode_word(token.trim_end());
        if after_word && word.is_some() {
            decoded.truncate(decoded.trim_end().len());
        }
        after_word = word.is_some();
        match word {
            None => decoded.push_str(token),
            Some(word) => {
                decoded.push_str(&word);
                decoded.push_str(if token.ends_with(' ') { " " } else { "" });
            }
        }
    }
    decoded
}

fn decode_word(token: &str) -> Option<String> {
    let inner = token.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut fields = inner.splitn(3, '?');
    let (charset, encoding, text) = (fields.next()?, fields.next()?, fields.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => quoted_printable(&text.replace('_', "=20")),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            bytes.push(byte);
        } else if let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        } else if let Some((digits, after)) = rest.split_at_checked(2)
            && let Some(value) = std::str::from_utf8(digits)
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            bytes.push(value);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_and_their_encoded_words_decoded() {
        let message = "To: a@b.example\r\nSubject: Hi =?utf-8?b?SsO8?=\r\n =?utf-8?q?rgen_=C3=9F?= !\r\n\r\nbody";
        assert_eq!(header(message, "subject").unwrap(), "Hi Jürgen ß !");
        assert_eq!(header(message, "Bcc"), None);
    }

    #[test]
    fn each_part_of_a_multipart_body_is_decoded() {
        let message = concat!(
            "Content-Type: multipart/alternative;\r\n boundary=\"x\"\r\n\r\n",
            "--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            "a=3Db =\r\n=C3=9F\r\n",
            "--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n",
            "--x--\r\n"
        );
        assert_eq!(part(message, "text/plain").unwrap(), "a=b ß");
        assert_eq!(part(message, "text/html").unwrap(), "<b>");
    }
}
