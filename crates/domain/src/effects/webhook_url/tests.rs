use super::*;

fn refused(text: &str, network: WebhookNetwork) -> &'static str {
    match WebhookUrl::parse(text, network) {
        Err(forbidden) => forbidden.reason,
        Ok(_) => panic!("{text:?} was taken"),
    }
}

#[test]
fn an_address_of_a_public_host_is_taken_as_it_is() {
    for good in [
        "https://hooks.example.com/a/b?token=1",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:80/",
        "https://HOOKS.example.com/Path",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:9443/hook",
        "https://a_b.example.com/%7Euser",
    ] {
        let taken = WebhookUrl::parse(good, WebhookNetwork::Public);
        assert!(taken.is_ok(), "{good}: {taken:?}");
    }
}

#[test]
fn an_address_that_leads_inside_a_network_is_refused_in_every_spelling() {
    const INSIDE: &str = "its address is not on the public internet";
    const UNUSUAL: &str = "its host is an IPv4 address in an unusual form";
    const INNER: &str = "its host is a name inside a network";
    const NO_NAME: &str = "its host is no host name";
    const ESCAPED: &str = "its host is written in escapes";
    for (url, reason) in [
        ("http://169.254.169.254", "it has no TLS"),
        ("https://169.254.169.254/latest/meta-data", INSIDE),
        ("https://127.0.0.1/", INSIDE),
        ("https://10.0.0.1/", INSIDE),
        ("https://[::1]/", INSIDE),
        ("https://[::]/", INSIDE),
        ("https://[::ffff:10.0.0.1]/", INSIDE),
        ("https://[::ffff:a00:1]/", INSIDE),
        ("https://[::127.0.0.1]/", INSIDE),
        ("https://[64:ff9b::a00:1]/", INSIDE),
        ("https://[2002:a00:1::]/", INSIDE),
        ("https://[fe80::1]/", INSIDE),
        ("https://[fd00:ec2::254]/", INSIDE),
        ("https://2130706433/", UNUSUAL),
        ("https://0x7f000001/", UNUSUAL),
        ("https://0x7f.1/", UNUSUAL),
        ("https://127.1/", UNUSUAL),
        ("https://0177.0.0.1/", UNUSUAL),
        ("https://010.8.8.8/", UNUSUAL),
        ("https://127.0.0.1./", UNUSUAL),
        ("https://134744072/", UNUSUAL),
        ("https://localhost/", INNER),
        ("https://LOCALHOST/", INNER),
        ("https://localhost./", NO_NAME),
        ("https://hooks.example.com./", NO_NAME),
        ("https://a.localhost/", INNER),
        ("https://printer.local/", INNER),
        ("https://metadata.google.internal/", INNER),
        ("https://router.home.arpa/", INNER),
        ("https://intranet/", INNER),
        ("https://%6cocalhost/", ESCAPED),
        ("https://exampl%65.com/", ESCAPED),
        ("https://%31%32%37.0.0.1/", UNUSUAL),
        ("https://..example.com/", NO_NAME),
        ("https://-a.example.com/", NO_NAME),
        ("https://169.254.169.2u4/", NO_NAME),
    ] {
        assert_eq!(refused(url, WebhookNetwork::Public), reason, "{url}");
    }
}

#[test]
fn an_address_that_two_readers_may_read_differently_is_refused_everywhere() {
    let long = format!("https://example.com/{}", "a".repeat(4096));
    for (url, reason) in [
        (&*long, "it is longer than 2048 bytes"),
        ("", "it is no URL"),
        ("example.com", "it is no URL"),
        ("https://", "it is no URL"),
        ("https:/example.com", "it is no URL"),
        ("https:example.com", "it is no URL"),
        (
            "https://user@example.com/",
            "it names a user; put a token into the path instead",
        ),
        (
            "https://user:secret@example.com/",
            "it names a user; put a token into the path instead",
        ),
        (
            "https://@example.com/",
            "it names a user; put a token into the path instead",
        ),
        (
            "https://example.com@10.0.0.1/",
            "it names a user; put a token into the path instead",
        ),
        ("https://example.com:22/", "its port belongs to another service"),
        ("https://example.com:0/", "its port belongs to another service"),
        ("https://example.com:1023/", "its port belongs to another service"),
        ("https://example.com:65536/", "it is no URL"),
        ("https://example.com/#a", "it has a fragment, which is never sent"),
        ("ftp://example.com/", "its scheme is not https"),
        ("file:///etc/passwd", "its scheme is not https"),
        ("gopher://example.com/", "its scheme is not https"),
        (
            "https://example.com\\@10.0.0.1/",
            "it has a backslash, which some read as a slash",
        ),
        ("https://[fe80::1%25eth0]/", "it is no URL"),
    ] {
        for network in [WebhookNetwork::Public, WebhookNetwork::Any] {
            assert_eq!(refused(url, network), reason, "{url}");
        }
    }
    for url in [
        "https://exa mple.com/",
        " https://example.com/",
        "https://example.com/\n",
        "https://exam\tple.com/",
        "https://example.com/\0",
        // The first letter is Cyrillic.
        "https://\u{430}pple.com/",
        "https://ex\u{ff41}mple.com/",
        "https://127。0。0。1/",
    ] {
        let reason = refused(url, WebhookNetwork::Any);
        assert!(
            reason.starts_with("it has spaces, control characters"),
            "{url:?}: {reason}"
        );
    }
}

#[test]
fn where_every_network_is_allowed_an_inner_address_without_tls_is_taken_in_its_usual_form() {
    for good in [
        "http://127.0.0.1:9999/hook",
        "http://localhost:8080/",
        "https://[::1]:8443/",
        "http://receiver:8080/",
        "http://10.0.0.1/",
    ] {
        let taken = WebhookUrl::parse(good, WebhookNetwork::Any);
        assert!(
            taken
                .as_ref()
                .is_ok_and(|url| url.check(WebhookNetwork::Public).is_err()),
            "{good}: {taken:?}"
        );
    }
    for bad in ["http://2130706433/", "http://127.0.0.1:22/", "http://localhost./"] {
        refused(bad, WebhookNetwork::Any);
    }
}

#[test]
fn an_address_whose_escapes_make_it_too_long_is_refused_when_it_comes() {
    let escaped = |n| format!("https://example.com/{}", "\"".repeat(n));
    let longest = WebhookUrl::parse(&escaped(676), WebhookNetwork::Public).unwrap();
    assert_eq!(longest.as_str().len(), MAX_WEBHOOK_URL);
    assert_eq!(longest.check(WebhookNetwork::Public), Ok(()));
    assert_eq!(
        refused(&escaped(677), WebhookNetwork::Public),
        "it is longer than 2048 bytes"
    );
}

#[test]
fn an_address_does_not_show_in_a_log_and_a_refusal_does_not_repeat_it() {
    let url = WebhookUrl::parse("https://example.com/token", WebhookNetwork::Public).unwrap();
    assert_eq!(format!("{url:?}"), "‹webhook url›");
    let forbidden = WebhookUrl::parse("https://10.1.2.3/token", WebhookNetwork::Public).unwrap_err();
    assert_eq!(
        forbidden.to_string(),
        "a webhook is not sent there: its address is not on the public internet; allowed is an https:// address of a \
         public host, on port 443, 80 or from 1024 on, with at most 2048 bytes of ASCII"
    );
    assert_eq!(forbidden.code(), "url.forbidden");
}
