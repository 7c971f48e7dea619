//! User and password in the URL of a server.

use percent_encoding::percent_decode_str;

/// Checks user and password of what follows `scheme://`, as they are written: what is not encoded moves the place where
/// the host begins.
pub(crate) fn check_login(rest: &str) -> Result<(), String> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains('@') {
        return Err("has a `/`, `?` or `#` in its user or password; write %2F, %3F or %23 instead".to_owned());
    }
    let Some((login, _)) = authority.rsplit_once('@') else {
        return Ok(());
    };
    if login.contains('@') {
        return Err("has an `@` in its user or password; write %40 instead".to_owned());
    }
    if !is_percent_encoded(login) {
        return Err("has a `%` in its user or password that encodes nothing; write %25 instead".to_owned());
    }
    let (user, password) = login
        .split_once(':')
        .map_or((login, None), |(user, password)| (user, Some(password)));
    if user.is_empty() && password.is_some() {
        return Err("has a password without a user".to_owned());
    }
    if password == Some("") {
        return Err("has an empty password".to_owned());
    }
    let is_text = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.is_ok_and(|text| !text.chars().any(char::is_control))
    };
    if is_text(user) && password.is_none_or(is_text) {
        Ok(())
    } else {
        Err("has a user or password that is not text".to_owned())
    }
}

/// Whether every `%` begins two hexadecimal digits.
pub(crate) fn is_percent_encoded(text: &str) -> bool {
    let is_hex = |digit: Option<char>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    text.split('%').skip(1).all(|after| {
        let mut digits = after.chars();
        is_hex(digits.next()) && is_hex(digits.next())
    })
}
