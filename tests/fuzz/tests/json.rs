//! The one pass that judges a payload before anything parses it agrees with a parser that builds the whole of it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use aftercommit_domain::contract::{InvalidJson, Json, LimitExceeded, Limits};
use aftercommit_fuzz::{Drawn, any_json, fuzz_target, mutated};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

fuzz_target!(fuzz_json, document, the_limits_are_kept_and_nothing_else_is_refused);

/// Three bytes that choose the limits, then a document.
fn document(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut input = vec![drawn.arbitrary()?, drawn.arbitrary()?, drawn.arbitrary()?];
    let json = any_json(drawn)?.into_bytes();
    input.extend(mutated(drawn, json)?);
    Ok(input)
}

fn the_limits_are_kept_and_nothing_else_is_refused(input: &[u8]) {
    let Some((&[bytes, depth, nodes], text)) = input.split_first_chunk() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let limits = Limits {
        payload_bytes: usize::from(bytes) * 4,
        json_depth: usize::from(depth % 100),
        json_nodes: usize::from(nodes),
        ..Limits::default()
    };
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let measured = measured(text);
    match Json::parse(text, &limits) {
        Ok(json) => {
            assert!(is_json, "{text:?}");
            assert_eq!(
                serde_json::to_string(&json).unwrap(),
                text.trim_matches([' ', '\n', '\r', '\t'])
            );
            assert!(text.len() <= limits.payload_bytes);
            if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
                // The only thing a reader may find wrong with what was accepted.
                assert!(
                    error.to_string().starts_with("number out of range"),
                    "{error} in {text:?}"
                );
            }
            if let Some(measured) = measured {
                assert!(
                    measured.depth <= limits.json_depth && measured.nodes <= limits.json_nodes,
                    "{measured:?}"
                );
                assert!(!measured.holds_nul, "{text:?}");
            }
        }
        Err(error) => {
            assert!(error.to_string().len() < 200, "{error}");
            match (error, measured) {
                (InvalidJson::Malformed { .. }, _) => assert!(!is_json, "{text:?}"),
                (InvalidJson::HalfCharacter { .. }, measured) => assert!(measured.is_none(), "{text:?}"),
                (InvalidJson::Nul { .. }, Some(measured)) => assert!(measured.holds_nul, "{text:?}"),
                (InvalidJson::Limit(LimitExceeded::Payload { got, limit }), _) => assert!(got > limit),
                (InvalidJson::Limit(LimitExceeded::Depth { limit }), Some(measured)) => {
                    assert!(measured.depth > limit, "{measured:?}");
                }
                (InvalidJson::Limit(LimitExceeded::Nodes { limit }), Some(measured)) => {
                    // An empty list or object is counted as if it held one value.
                    assert!(measured.nodes + measured.empty > limit, "{measured:?}");
                }
                (InvalidJson::Limit(LimitExceeded::Envelope { .. }), _) => panic!("a payload is no envelope"),
                // Of what is no JSON, anything may be said first.
                (InvalidJson::Nul { .. } | InvalidJson::Limit(_), None) => {}
            }
        }
    }
}

#[derive(Debug, Default)]
struct Measured {
    depth: usize,
    nodes: usize,
    empty: usize,
    holds_nul: bool,
}

/// What a parser sees; `None` when it sees no JSON, or more of it than it takes.
fn measured(text: &str) -> Option<Measured> {
    let mut measured = Measured::default();
    let mut parser = serde_json::Deserializer::from_str(text);
    Measure(&mut measured, 0).deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    Some(measured)
}

struct Measure<'a>(&'a mut Measured, usize);

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.nodes += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Measure<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.holds_nul |= text.contains('\0');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.1 + 1;
        self.0.depth = self.0.depth.max(depth);
        let before = self.0.nodes;
        while items.next_element_seed(Measure(self.0, depth))?.is_some() {}
        self.0.empty += usize::from(self.0.nodes == before);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let depth = self.1 + 1;
        self.0.depth = self.0.depth.max(depth);
        let before = self.0.nodes;
        while let Some(key) = fields.next_key::<String>()? {
            self.0.holds_nul |= key.contains('\0');
            fields
                .next_value_seed(Measure(self.0, depth))
                .map_err(A::Error::custom)?;
        }
        self.0.empty += usize::from(self.0.nodes == before);
        Ok(())
    }
}
