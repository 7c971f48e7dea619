//! Whatever somebody writes as the address of a webhook, what is taken leads out, over TLS, and is taken again as the same.

use aftercommit_domain::effects::{
    LONGEST_RETRY_AFTER, MAX_WEBHOOK_URL, WebhookNetwork, WebhookUrl, check_public, retry_after,
};
use aftercommit_domain::time::{Timestamp, seconds};
use aftercommit_fuzz::{Drawn, any_text, fuzz_target, mutated};

fuzz_target!(fuzz_webhook_urls, address, what_is_taken_leads_out);

const SCHEMES: [&str; 8] = [
    "https://",
    "HTTPS://",
    "http://",
    "https:/",
    "https:///",
    "ftp://",
    "//",
    "",
];

const HOSTS: [&str; 32] = [
    "hooks.example.com",
    "HOOKS.Example.COM",
    "xn--bcher-kva.example",
    "8.8.8.8",
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "8.8.8.8.",
    "localhost",
    "localhost.",
    "a.localhost",
    "printer.local",
    "metadata.google.internal",
    "intranet",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[2606:4700::1111]",
    "[64:ff9b::a00:1]",
    "[fe80::1%25eth0]",
    "%6cocalhost",
    "%31%32%37.0.0.1",
    "\u{430}pple.com",
    "127。0。0。1",
    "user@example.com",
    "example.com@10.0.0.1",
    "user:secret@10.0.0.1",
    "example.com\\@10.0.0.1",
    "..",
];

const RESTS: [&str; 14] = [
    "",
    "/",
    "/hook",
    ":443/",
    ":80/",
    ":22/",
    ":0/",
    ":8443/hook?token=a",
    ":65536/",
    "/#a",
    "/%00",
    "/\"<>`{}|",
    "?q=10.0.0.1",
    "/../..//x",
];

fn address(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    if drawn.ratio(1, 8)? {
        return mutated_text(drawn);
    }
    let mut address = String::from(*drawn.choose(&SCHEMES)?);
    address.push_str(drawn.choose(&HOSTS)?);
    address.push_str(drawn.choose(&RESTS)?);
    if drawn.ratio(1, 4)? {
        address.push_str(&any_text(drawn)?);
    }
    mutated(drawn, address.into_bytes())
}

/// Any text, or what a `Retry-After` may say.
fn mutated_text(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let text = if drawn.ratio(1, 2)? {
        any_text(drawn)?
    } else {
        (*drawn.choose(&[
            "120",
            "Sat, 28 Nov 2026 23:01:30 GMT",
            "Fri, 31 Dec 9999 23:59:60 GMT",
            "-1",
        ])?)
        .to_owned()
    };
    mutated(drawn, text.into_bytes())
}

fn what_is_taken_leads_out(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for network in [WebhookNetwork::Public, WebhookNetwork::Any] {
        match WebhookUrl::parse(text, network) {
            Ok(url) => taken(text, &url, network),
            // A refusal repeats nothing of what was written, which may hold a token.
            Err(forbidden) => assert!(forbidden.to_string().len() < 300, "{forbidden}"),
        }
    }
    if WebhookUrl::parse(text, WebhookNetwork::Public).is_ok() {
        assert!(WebhookUrl::parse(text, WebhookNetwork::Any).is_ok(), "{text:?}");
    }
    if let Some(wait) = retry_after(text, Timestamp::UNIX_EPOCH) {
        assert!((seconds(1)..=LONGEST_RETRY_AFTER).contains(&wait), "{text:?}: {wait:?}");
    }
}

fn taken(text: &str, url: &WebhookUrl, network: WebhookNetwork) {
    assert!(
        url.as_str().len() <= MAX_WEBHOOK_URL && url.as_str().is_ascii(),
        "{text:?}"
    );
    let again = WebhookUrl::parse(url.as_str(), network);
    assert_eq!(again.as_ref().map(WebhookUrl::as_str), Ok(url.as_str()), "{text:?}");
    let parts = url.url();
    assert!(
        parts.username().is_empty() && parts.password().is_none() && parts.fragment().is_none(),
        "{text:?}"
    );
    assert!(
        matches!(parts.port_or_known_default(), Some(80 | 443 | 1024..)),
        "{text:?}"
    );
    if network == WebhookNetwork::Any {
        return;
    }
    assert_eq!(parts.scheme(), "https", "{text:?}");
    let host = parts.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if let Ok(address) = host.parse() {
        assert_eq!(check_public(address), Ok(()), "{text:?}");
        return;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_inner = ["", "localhost", "local", "internal"].contains(&last);
    assert!(host.contains('.') && !is_inner, "{text:?}");
    // What looks like a number is one to somebody.
    assert!(!last.starts_with(|first: char| first.is_ascii_digit()), "{text:?}");
}
