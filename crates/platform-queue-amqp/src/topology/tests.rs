use std::fmt::Write as _;
use std::time::Duration;

use super::*;

const LETTERS: TopicName = TopicName::constant("letters");

fn topology() -> Topology {
    Topology::new(&AmqpOptions::local(5672))
}

fn written(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let kind = match part.kind {
            PartKind::Exchange(ExchangeKind::Direct) => "direct exchange",
            PartKind::Exchange(ExchangeKind::Fanout) => "fanout exchange",
            PartKind::Exchange(ExchangeKind::Topic) => "topic exchange",
            PartKind::Queue => "queue",
        };
        writeln!(text, "{kind} {}: {}", part.name, part.purpose).unwrap();
        for (name, value) in &part.arguments {
            writeln!(text, "  {name} = {value}").unwrap();
        }
        for binding in &part.bindings {
            writeln!(text, "  {binding}").unwrap();
        }
    }
    text
}

#[test]
fn the_topology_is_what_other_languages_are_told_it_is() {
    insta::assert_snapshot!("shared", written(&topology().shared()));
    insta::assert_snapshot!("topic", written(&topology().of_topic(&LETTERS)));
    insta::assert_snapshot!("ordered_topic", written(&topology().of_topic(&DOMAIN_EVENTS_TOPIC)));
}

/// Follows a message through the levels by their bindings, and answers how long it waits.
fn waited(topology: &Topology, key: &str, mut level: u32) -> u64 {
    let parts = topology.shared();
    let mut seconds = 0;
    loop {
        let exchange = topology.delay_exchange(level);
        let takers: Vec<&Part> = parts
            .iter()
            .filter(|part| {
                let bindings = part.bindings.iter();
                bindings
                    .clone()
                    .any(|binding| binding.source == exchange && matches(&binding.key, key))
            })
            .collect();
        let [taker] = takers[..] else {
            panic!("{key} has one way at level {level}, not {takers:?}")
        };
        if taker.kind == PartKind::Queue {
            seconds += 1 << level;
        }
        match level.checked_sub(1) {
            Some(next) => level = next,
            None => return seconds,
        }
    }
}

/// Whether a topic exchange's pattern takes a key.
fn matches(pattern: &str, key: &str) -> bool {
    let (mut pattern, mut key) = (pattern.split('.'), key.split('.'));
    loop {
        match (pattern.next(), key.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(word), Some(other)) if word == other => {}
            _ => return false,
        }
    }
}

#[test]
fn any_wait_up_to_a_day_takes_its_way_through_the_levels_and_is_at_most_a_second_longer() {
    let topology = topology();
    let mut waits: Vec<u64> = (0..17)
        .map(|bit| 1000 << bit)
        .filter(|wait| *wait <= 86_400_000)
        .collect();
    waits.extend([1, 999, 1001, 2999, 59_000, 86_399_001, 86_400_000, 12_345_678]);
    for wait in waits {
        let wait = Duration::from_millis(wait);
        let level = entry_level(wait).expect("it has to wait");
        let seconds = waited(&topology, &routing_key(&LETTERS, wait), level);
        let waited = Duration::from_secs(seconds);
        assert!(
            waited >= wait && waited < wait + Duration::from_secs(1),
            "{wait:?} became {waited:?}"
        );
    }
    assert_eq!(entry_level(Duration::ZERO), None);
}

#[test]
fn a_topic_is_found_again_in_every_routing_key() {
    for key in ["letters", "letters.3", &routing_key(&LETTERS, Duration::from_secs(77))] {
        assert_eq!(Topology::topic_of(key), Some(LETTERS), "{key}");
    }
    assert_eq!(Topology::topic_of("0.1.0"), None);
}

#[test]
fn the_partition_of_a_key_is_one_that_any_language_can_compute() {
    // FNV-1a, 64 bits, of these texts is af63dc4c8601ec8c and 85944171f73967e8.
    let topology = topology();
    assert_eq!(topology.partition("a"), (0xaf63_dc4c_8601_ec8c_u64 % 4) as u16);
    assert_eq!(topology.partition("foobar"), (0x8594_4171_f739_67e8_u64 % 4) as u16);
}
