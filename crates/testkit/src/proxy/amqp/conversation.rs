//! What a broker and its client say to each other, as far as rules need to understand it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::frame::{AmqpFrame, Kind};
use crate::proxy::Direction;
use crate::proxy::interpreter::{Interpreter, Step, Steps};
use crate::proxy::rules::{Effect, Rule, RuleBook};

/// A frame that is larger is no longer looked at, and neither is what follows it.
const LARGEST: usize = 64 * 1024 * 1024;

/// What a client begins with: the name of the protocol and its version.
const GREETING: usize = 8;

/// Type, channel and size, and the octet at the end.
const AROUND: usize = 8;
const END: u8 = 0xce;

/// All rules of a proxy, and what has come by.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) book: RuleBook<AmqpFrame>,
    pub(super) seen: Arc<watch::Sender<Seen>>,
}

/// How many frames of each kind have come by.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<(Direction, Kind), u64>);

impl Seen {
    pub(super) fn count(&self, frame: AmqpFrame) -> u64 {
        let such = self.0.iter();
        such.filter(|((direction, kind), _)| frame.recognises(*direction, *kind))
            .map(|(_, count)| count)
            .sum()
    }
}

impl Rules {
    fn catch(&self, direction: Direction, kind: Kind) -> Option<Arc<Rule>> {
        self.seen
            .send_modify(|seen| *seen.0.entry((direction, kind)).or_default() += 1);
        self.book.catch(|frame| frame.recognises(direction, kind))
    }
}

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Conversation {
    rules: Rules,
    /// It can no longer be understood, so everything passes.
    opaque: bool,
    greeted: bool,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
}

impl Conversation {
    pub(super) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            opaque: false,
            greeted: false,
            from_client: Vec::new(),
            from_server: Vec::new(),
        }
    }

    const fn buffer(&mut self, direction: Direction) -> &mut Vec<u8> {
        match direction {
            Direction::ToServer => &mut self.from_client,
            Direction::ToClient => &mut self.from_server,
        }
    }

    /// Takes one frame, or the greeting; `false` when there is no whole one.
    fn says(&mut self, direction: Direction, steps: &mut Steps) -> bool {
        if direction == Direction::ToServer && !self.greeted {
            return self.greets(steps);
        }
        match next(self.buffer(direction)) {
            Next::Frame(frame) => {
                let rule = self.rules.catch(direction, Kind::of(&frame));
                pass(frame, rule, steps);
                true
            }
            Next::Incomplete => false,
            Next::Nonsense => {
                self.opaque = true;
                false
            }
        }
    }

    fn greets(&mut self, steps: &mut Steps) -> bool {
        if self.from_client.len() < GREETING {
            return false;
        }
        let greeting: Vec<u8> = self.from_client.drain(..GREETING).collect();
        self.greeted = true;
        // Such as the beginning of TLS.
        self.opaque = !greeting.starts_with(b"AMQP\x00");
        steps.send(&greeting);
        true
    }
}

impl Interpreter for Conversation {
    fn take(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Step> {
        let mut steps = Steps::default();
        self.buffer(direction).extend_from_slice(bytes);
        while !self.opaque && self.says(direction, &mut steps) {}
        if self.opaque {
            let rest = std::mem::take(self.buffer(direction));
            steps.send(&rest);
        }
        steps.0
    }

    fn give_up(&mut self) {
        self.opaque = true;
    }
}

fn pass(mut frame: Vec<u8>, rule: Option<Arc<Rule>>, steps: &mut Steps) {
    let Some(rule) = rule else {
        return steps.send(&frame);
    };
    match rule.effect() {
        Effect::Hold | Effect::Lose => {
            steps.decide(Some(rule));
            steps.send(&frame);
        }
        Effect::Swallow => steps.decide(Some(rule)),
        Effect::CutAfterwards => {
            steps.send(&frame);
            steps.cut_afterwards(rule);
        }
        Effect::Corrupt(byte) => {
            let last = frame.len() - 1;
            frame[byte.min(last)] ^= 0xff;
            steps.decide(Some(rule));
            steps.send(&frame);
        }
    }
}

enum Next {
    Frame(Vec<u8>),
    Incomplete,
    Nonsense,
}

/// Takes the first whole frame.
fn next(buffer: &mut Vec<u8>) -> Next {
    let Some(&[_, _, _, a, b, c, d]) = buffer.first_chunk() else {
        return Next::Incomplete;
    };
    let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let whole = size.saturating_add(AROUND);
    // A broker refuses a protocol by naming another, which begins like a greeting.
    if whole > LARGEST || buffer.starts_with(b"AMQP") {
        return Next::Nonsense;
    }
    match buffer.get(whole - 1) {
        None => Next::Incomplete,
        Some(&END) => Next::Frame(buffer.drain(..whole).collect()),
        Some(_) => Next::Nonsense,
    }
}

#[cfg(test)]
mod tests;
