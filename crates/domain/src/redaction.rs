//! Taking secrets out of the words of an error: what a driver or a server repeats of a URL, a header or a form. It knows
//! the usual places, not every secret; what must never be seen is [`Sealed`](crate::contract::Sealed).

/// What stands where a secret was.
const REDACTED: &str = "‹redacted›";
/// What secrets are called, in small letters.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "private_key",
    "authorization",
];
/// What may also stand before a colon without quotes: other words of the list are met in prose, as in `unexpected token: x`.
const NAMES_BEFORE_A_COLON: [&str; 3] = ["password", "passwd", "authorization"];
/// What names how a secret is shown.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// The text with `‹redacted›` in place of the user and password of URLs, of values with a name such as `password`, and of
/// what follows `Bearer` and `Basic`. One pass, whatever the text.
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let Some((before, secret)) = secret_at(rest) else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        };
        out.push_str(rest.get(..before).unwrap_or_default());
        out.push_str(REDACTED);
        rest = rest.get(before + secret..).unwrap_or_default();
    }
    out
}

/// How many bytes stand before a secret that is announced at the beginning of the text, and how many it has.
fn secret_at(text: &str) -> Option<(usize, usize)> {
    in_a_url(text)
        .or_else(|| named(text))
        .or_else(|| shown_by_a_scheme(text))
}

/// `://user:password@host`.
fn in_a_url(text: &str) -> Option<(usize, usize)> {
    let after = text.strip_prefix("://")?;
    let authority = until(after, |c| c.is_whitespace() || "/?#\"'<>()".contains(c));
    let length = authority.rfind('@').filter(|length| *length > 0)?;
    Some((text.len() - after.len(), length))
}

/// `password=…`, `"token": "…"`, `Authorization: …`.
fn named(text: &str) -> Option<(usize, usize)> {
    let name = NAMES.into_iter().find(|name| begins_with(text, name))?;
    let rest = text.get(name.len()..)?;
    let unquoted = rest.trim_start_matches(['"', '\'']);
    let is_quoted = unquoted.len() < rest.len();
    let after = unquoted.trim_start_matches(' ');
    let value = match after.chars().next()? {
        '=' => after.get(1..)?,
        ':' if is_quoted || NAMES_BEFORE_A_COLON.contains(&name) => after.get(1..)?,
        _ => return None,
    };
    let value = value.trim_start_matches(' ');
    let (value, length) = match value.chars().next()? {
        quote @ ('"' | '\'') => {
            let inside = value.get(1..)?;
            (inside, until(inside, |c| c == quote).len())
        }
        _ if name == "authorization" => (value, until(value, |c| c == '\n').len()),
        _ => (
            value,
            until(value, |c| c.is_whitespace() || "&,;)}]\"'".contains(c)).len(),
        ),
    };
    (length > 0).then(|| (text.len() - value.len(), length))
}

/// `Bearer abc…`.
fn shown_by_a_scheme(text: &str) -> Option<(usize, usize)> {
    let scheme = SCHEMES.into_iter().find(|scheme| begins_with(text, scheme))?;
    let value = text.get(scheme.len()..)?;
    let length = until(value, |c| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c))).len();
    // A shorter one is a word of prose.
    (length >= 8).then_some((scheme.len(), length))
}

/// Whether the text begins with these small letters, however it writes them.
fn begins_with(text: &str, small: &str) -> bool {
    text.get(..small.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(small))
}

/// What stands before the first character that ends it.
fn until(text: &str, ends: impl Fn(char) -> bool) -> &str {
    text.split(ends).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_usual_place_is_taken_out() {
        for (text, expected) in [
            (
                "cannot reach postgres://me:canary@db.example/app",
                "cannot reach postgres://‹redacted›@db.example/app",
            ),
            (
                "amqp://a:canary@x and amqp://b:canary@y",
                "amqp://‹redacted›@x and amqp://‹redacted›@y",
            ),
            ("host=db password=canary user=me", "host=db password=‹redacted› user=me"),
            ("PASSWORD = 'can ary' user=me", "PASSWORD = '‹redacted›' user=me"),
            (
                r#"{"token":"canary","api_key": "canary"}"#,
                r#"{"token":"‹redacted›","api_key": "‹redacted›"}"#,
            ),
            ("?client_secret=canary&x=1", "?client_secret=‹redacted›&x=1"),
            (
                "Authorization: Basic canary\nHost: x",
                "Authorization: ‹redacted›\nHost: x",
            ),
            ("sent Bearer canary.canary-1 to x", "sent Bearer ‹redacted› to x"),
        ] {
            assert_eq!(redacted(text), expected);
            assert_eq!(redacted(expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "unexpected token: `,`",
            "https://example.com/a?email=a@b.example",
            "the password is wrong",
            "bearer of news",
            "password=",
            "secret",
            "a@b.example://",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
