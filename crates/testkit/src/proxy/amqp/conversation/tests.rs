use super::super::AmqpFrame;
use super::{Conversation, END, Effect, Rules, Step};
use crate::proxy::Direction::{self, ToClient, ToServer};
use crate::proxy::interpreter::Interpreter;

const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind, 0, 1][..], &size.to_be_bytes(), payload, &[END]].concat()
}

fn method(class: u8, number: u8) -> Vec<u8> {
    frame(1, &[0, class, 0, number, 7, 7])
}

fn publish() -> Vec<u8> {
    method(60, 40)
}

fn ack() -> Vec<u8> {
    method(60, 80)
}

/// A message: its header and its body, which holds octets that look like ends.
fn content() -> Vec<u8> {
    [frame(2, &[0, 60, 0, 0]), frame(3, &[END, END, 1, END])].concat()
}

/// What goes on, with `!` where a rule decides, and `|` where the connection is cut.
fn passes(steps: Vec<Step>) -> Vec<u8> {
    let parts = steps.into_iter().map(|step| match step {
        Step::Send(bytes) => bytes,
        Step::Decide(_) => b"!".to_vec(),
        Step::CutAfterwards(_) => b"|".to_vec(),
    });
    parts.collect::<Vec<_>>().concat()
}

/// One that has begun.
fn conversation(rules: &Rules) -> Conversation {
    let mut conversation = Conversation::new(rules.clone());
    assert_eq!(passes(conversation.take(ToServer, GREETING)), GREETING);
    conversation
}

fn rule(rules: &Rules, frame: AmqpFrame, effect: Effect, times: usize) -> crate::proxy::Loss {
    rules.book.lose(frame, effect, frame.first(), times)
}

#[test]
fn frames_in_pieces_are_put_together_before_they_go_on() {
    let rules = Rules::default();
    let mut conversation = Conversation::new(rules.clone());
    let sent = [GREETING, &publish(), &content(), &publish(), &content()].concat();
    let mut passed = Vec::new();
    for byte in &sent {
        passed.extend(passes(conversation.take(ToServer, &[*byte])));
    }
    assert_eq!(passed, sent);
    let seen = |frame| rules.seen.borrow().count(frame);
    assert_eq!(seen(AmqpFrame::publish()), 2);
    assert_eq!(seen(AmqpFrame::header(ToServer)), 2);
    assert_eq!(seen(AmqpFrame::body(ToServer)), 2);
    assert_eq!(seen(AmqpFrame::body(ToClient)), 0);
}

#[test]
fn a_connection_is_cut_between_the_method_of_a_message_and_its_header() {
    let rules = Rules::default();
    let _cut = rule(&rules, AmqpFrame::publish().nth(2), Effect::CutAfterwards, 1);
    let mut conversation = conversation(&rules);
    let message = [publish(), content()].concat();
    let passed = passes(conversation.take(ToServer, &[&message[..], &message].concat()));
    assert_eq!(passed, [&message[..], &publish(), b"|", &content()].concat());
}

#[test]
fn the_nth_confirmation_is_swallowed_and_a_consumers_ack_is_not_one() {
    let rules = Rules::default();
    let _loss = rule(&rules, AmqpFrame::confirm().nth(2), Effect::Swallow, 2);
    let mut conversation = conversation(&rules);
    assert_eq!(passes(conversation.take(ToServer, &ack())), ack());
    let nack = method(60, 120);
    let confirms = [ack(), ack(), nack.clone(), nack.clone()].concat();
    let passed = passes(conversation.take(ToClient, &confirms));
    assert_eq!(passed, [&ack()[..], b"!!", &nack].concat());
}

#[test]
fn a_rule_is_for_all_connections() {
    let rules = Rules::default();
    let _loss = rule(&rules, AmqpFrame::consumer_ack().nth(2), Effect::Swallow, 1);
    let (mut one, mut two) = (conversation(&rules), conversation(&rules));
    assert_eq!(passes(one.take(ToServer, &ack())), ack());
    assert_eq!(passes(two.take(ToServer, &ack())), b"!");
    assert_eq!(passes(one.take(ToServer, &ack())), ack());
}

#[test]
fn what_is_lost_or_held_is_asked_about_before_it_goes_on() {
    let rules = Rules::default();
    let _loss = rule(&rules, AmqpFrame::deliver(), Effect::Lose, 1);
    let _hold = rules.book.hold(AmqpFrame::heartbeat(ToClient), 1);
    let mut conversation = conversation(&rules);
    let deliver = method(60, 60);
    let beat = frame(8, b"");
    let sent = [&deliver[..], &beat, &beat].concat();
    let passed = passes(conversation.take(ToClient, &sent));
    assert_eq!(passed, [b"!", &deliver[..], b"!", &beat, &beat].concat());
}

#[test]
fn one_byte_is_changed_and_what_follows_is_still_understood() {
    let rules = Rules::default();
    let _type = rule(&rules, AmqpFrame::publish(), Effect::Corrupt(0), 1);
    let _end = rule(&rules, AmqpFrame::publish().nth(2), Effect::Corrupt(usize::MAX), 1);
    let mut conversation = conversation(&rules);
    let (mut first, mut second) = (publish(), publish());
    first[0] = 0xfe;
    *second.last_mut().unwrap() = !END;
    let sent = [publish(), publish(), publish()].concat();
    let passed = passes(conversation.take(ToServer, &sent));
    assert_eq!(passed, [b"!", &first[..], b"!", &second, &publish()].concat());
}

#[test]
fn what_cannot_be_understood_passes_unchanged() {
    let cases: [(Direction, Vec<u8>); 4] = [
        // The beginning of TLS, the refusal of a protocol, a frame without its end, one that is too large.
        (ToServer, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        (ToClient, b"AMQP\x00\x01\x00\x00".to_vec()),
        (ToClient, [&publish()[..13], b"x", &ack()].concat()),
        (ToClient, [&[1, 0, 0][..], &[0xff; 8]].concat()),
    ];
    for (direction, bytes) in cases {
        let rules = Rules::default();
        let _loss = rule(&rules, AmqpFrame::confirm(), Effect::Swallow, 1);
        let mut conversation = Conversation::new(rules);
        assert_eq!(passes(conversation.take(direction, &bytes)), bytes, "{bytes:?}");
        assert_eq!(passes(conversation.take(ToClient, &ack())), ack(), "{bytes:?}");
    }
}

#[test]
fn what_was_lost_in_a_dead_direction_ends_the_search_for_frames() {
    let rules = Rules::default();
    let _loss = rule(&rules, AmqpFrame::confirm(), Effect::Swallow, 1);
    let mut conversation = conversation(&rules);
    conversation.give_up();
    assert_eq!(passes(conversation.take(ToClient, &ack())), ack());
}
