//! Which frame a rule is about.

use crate::proxy::Direction;

/// Recognises a frame by its direction and its kind.
///
/// A message goes in at least two frames: a method, a header, and its body in pieces if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmqpFrame {
    direction: Direction,
    what: What,
    first: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// One of these methods of a class.
    Methods(u16, &'static [u16]),
    Method(u16, u16),
    Header,
    Body,
    Heartbeat,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Method(u16, u16),
    Header,
    Body,
    Heartbeat,
    Unknown,
}

/// The class of methods about messages, and some of these.
const BASIC: u16 = 60;
const PUBLISH: u16 = 40;
const DELIVER: u16 = 60;
const ACK: u16 = 80;
const REJECT: u16 = 90;
const NACK: u16 = 120;

impl AmqpFrame {
    const fn new(direction: Direction, what: What) -> Self {
        Self {
            direction,
            what,
            first: 1,
        }
    }

    /// The method by which a client publishes; the message's header and body follow in frames of their own.
    pub const fn publish() -> Self {
        Self::method(Direction::ToServer, BASIC, PUBLISH)
    }

    /// The broker's confirmation of messages that were published, or its refusal: `basic.ack` or `basic.nack`.
    pub const fn confirm() -> Self {
        Self::new(Direction::ToClient, What::Methods(BASIC, &[ACK, NACK]))
    }

    /// The method by which the broker delivers; the message's header and body follow in frames of their own.
    pub const fn deliver() -> Self {
        Self::method(Direction::ToClient, BASIC, DELIVER)
    }

    /// A consumer's `basic.ack`.
    pub const fn consumer_ack() -> Self {
        Self::method(Direction::ToServer, BASIC, ACK)
    }

    /// A consumer gives messages back or drops them: `basic.nack` or `basic.reject`.
    pub const fn consumer_nack() -> Self {
        Self::new(Direction::ToServer, What::Methods(BASIC, &[NACK, REJECT]))
    }

    /// Any method by its class and number, as the specification counts them.
    pub const fn method(direction: Direction, class: u16, method: u16) -> Self {
        Self::new(direction, What::Method(class, method))
    }

    /// The header of a message.
    pub const fn header(direction: Direction) -> Self {
        Self::new(direction, What::Header)
    }

    /// A piece of the body of a message.
    pub const fn body(direction: Direction) -> Self {
        Self::new(direction, What::Body)
    }

    /// A heartbeat.
    pub const fn heartbeat(direction: Direction) -> Self {
        Self::new(direction, What::Heartbeat)
    }

    /// The `number`th such frame from now on (and those that follow it, if a rule is for several) instead of the first.
    pub const fn nth(self, number: usize) -> Self {
        Self { first: number, ..self }
    }

    pub(super) const fn first(self) -> usize {
        self.first
    }

    pub(super) fn recognises(self, direction: Direction, kind: Kind) -> bool {
        self.direction == direction
            && match (self.what, kind) {
                (What::Methods(class, methods), Kind::Method(its_class, its)) => {
                    class == its_class && methods.contains(&its)
                }
                (What::Method(class, method), Kind::Method(its_class, its)) => (class, method) == (its_class, its),
                (What::Header, Kind::Header) | (What::Body, Kind::Body) | (What::Heartbeat, Kind::Heartbeat) => true,
                (What::Methods(..) | What::Method(..) | What::Header | What::Body | What::Heartbeat, _) => false,
            }
    }
}

impl Kind {
    /// That of a whole frame.
    pub(super) fn of(frame: &[u8]) -> Self {
        let number = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        match frame[0] {
            // Type, channel and size come before, and the end after the payload.
            1 if frame.len() >= 12 => Self::Method(number(7), number(9)),
            2 => Self::Header,
            3 => Self::Body,
            8 => Self::Heartbeat,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_method_means_one_thing_from_the_broker_and_another_from_a_consumer() {
        let ack = Kind::Method(60, 80);
        assert!(AmqpFrame::confirm().recognises(Direction::ToClient, ack));
        assert!(!AmqpFrame::confirm().recognises(Direction::ToServer, ack));
        assert!(AmqpFrame::consumer_ack().recognises(Direction::ToServer, ack));
        assert!(AmqpFrame::confirm().recognises(Direction::ToClient, Kind::Method(60, 120)));
        assert!(!AmqpFrame::confirm().recognises(Direction::ToClient, Kind::Method(60, 60)));
    }

    #[test]
    fn a_frame_that_is_too_short_for_its_kind_is_unknown() {
        assert_eq!(Kind::of(&[1, 0, 0, 0, 0, 0, 2, 0, 60, 0xce]), Kind::Unknown);
        assert_eq!(Kind::of(&[8, 0, 0, 0, 0, 0, 0, 0xce]), Kind::Heartbeat);
    }
}
