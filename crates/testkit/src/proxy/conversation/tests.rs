use super::super::Statement;
use super::super::interpreter::Interpreter;
use super::super::statement_rules::{Point, Rules};
use super::{Conversation, Step, TLS};
use crate::proxy::Direction::{ToClient, ToServer};

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter], &length.to_be_bytes()[..], body].concat()
}

fn introduction(code: u32) -> Vec<u8> {
    [8_u32.to_be_bytes(), code.to_be_bytes()].concat()
}

/// What goes on, with `!` where a rule decides.
fn passes(steps: Vec<Step>) -> Vec<u8> {
    let parts = steps.into_iter().map(|step| match step {
        Step::Send(bytes) => bytes,
        Step::Decide(_) | Step::CutAfterwards(_) => b"!".to_vec(),
    });
    parts.collect::<Vec<_>>().concat()
}

/// One that has logged in.
fn conversation(rules: &Rules) -> Conversation {
    let mut conversation = Conversation::new(rules.clone());
    conversation.take(ToServer, &introduction(196_608));
    conversation.take(ToClient, &message(b'Z', b"I"));
    conversation
}

#[test]
fn a_message_in_pieces_is_put_together_before_it_goes_on() {
    let rules = Rules::default();
    let _hold = rules.hold(Statement::from("BEGIN"), Point::Reply);
    let mut conversation = conversation(&rules);
    let query = message(b'Q', b"begin\0");
    let mut passed = Vec::new();
    for byte in &query {
        passed.extend(passes(conversation.take(ToServer, &[*byte])));
    }
    assert_eq!(passed, query);
    let reply = [message(b'C', b"BEGIN\0"), message(b'Z', b"T")].concat();
    let (last, rest) = reply.split_last().unwrap();
    for byte in rest {
        assert_eq!(passes(conversation.take(ToClient, &[*byte])), b"");
    }
    assert_eq!(
        passes(conversation.take(ToClient, &[*last])),
        [b"!", &reply[..]].concat()
    );
}

#[test]
fn replies_find_their_requests_when_several_are_under_way() {
    let rules = Rules::default();
    let _hold = rules.hold(Statement::from("COMMIT"), Point::Reply);
    let mut conversation = conversation(&rules);
    let requests = [
        message(b'Q', b"select 1\0"),
        message(b'P', b"s\0commit\0\0\0"),
        message(b'B', b"\0s\0\0\0\0\0\0\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
        message(b'Q', b"select 2\0"),
    ]
    .concat();
    assert_eq!(passes(conversation.take(ToServer, &requests)), requests);
    let ready = message(b'Z', b"I");
    let commit = [
        message(b'1', b""),
        message(b'2', b""),
        message(b'C', b"COMMIT\0"),
        ready.clone(),
    ]
    .concat();
    let replies = [ready.clone(), commit.clone(), ready.clone()].concat();
    let expected = [&ready[..], b"!", &commit, &ready].concat();
    assert_eq!(passes(conversation.take(ToClient, &replies)), expected);
}

#[test]
fn a_request_is_decided_before_it_goes_on_and_after_what_came_before_it() {
    let rules = Rules::default();
    let _hold = rules.hold(Statement::from("COMMIT"), Point::Request);
    let mut conversation = conversation(&rules);
    let (first, commit) = (message(b'Q', b"select 1\0"), message(b'Q', b"commit\0"));
    let both = [first.clone(), commit.clone()].concat();
    assert_eq!(
        passes(conversation.take(ToServer, &both)),
        [&first[..], b"!", &commit].concat()
    );
}

#[test]
fn a_server_without_tls_is_understood_after_its_refusal() {
    let rules = Rules::default();
    let _hold = rules.hold(Statement::from("COMMIT"), Point::Request);
    let mut conversation = Conversation::new(rules);
    conversation.take(ToServer, &introduction(TLS));
    assert_eq!(passes(conversation.take(ToClient, b"N")), b"N");
    conversation.take(ToServer, &introduction(196_608));
    let commit = message(b'Q', b"commit\0");
    assert_eq!(
        passes(conversation.take(ToServer, &commit)),
        [b"!", &commit[..]].concat()
    );
}

#[test]
fn what_cannot_be_understood_passes() {
    let rules = Rules::default();
    let _hold = rules.hold(Statement::from("COMMIT"), Point::Request);
    let mut encrypted = Conversation::new(rules.clone());
    encrypted.take(ToServer, &introduction(TLS));
    assert_eq!(passes(encrypted.take(ToClient, b"S")), b"S");
    assert_eq!(passes(encrypted.take(ToServer, b"\x16\x03\x01")), b"\x16\x03\x01");
    let mut broken = conversation(&rules);
    let nonsense = [b'Q', 0xff, 0xff, 0xff, 0xff, 1, 2, 3];
    assert_eq!(passes(broken.take(ToServer, &nonsense)), nonsense);
}
