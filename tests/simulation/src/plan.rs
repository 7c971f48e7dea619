//! How the runs of a task go.

use crate::dice::Dice;

/// How the runs of a task go, whoever runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// At once.
    Succeed,
    /// After so many attempts that fail.
    Fail(u8),
    /// After so many attempts that fail although their transaction committed.
    FailAfterCommit(u8),
    /// After so many attempts that panic.
    Panic(u8),
    /// After so many attempts that take too long.
    Hang(u8),
    /// After so many snoozes.
    Snooze(u8),
    /// After so many runs that kill their process.
    Kill(u8),
    /// There is nothing to do.
    Skip,
    /// It can never succeed.
    Refuse,
    /// It fails each time.
    FailAlways,
}

/// What becomes of a task in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its effect is there, once.
    Done,
    /// It is skipped, without an effect.
    Skipped,
    /// It is a dead letter, without an effect.
    Dead,
}

impl Plan {
    pub(crate) fn of(dice: &Dice, troubled: u64) -> Self {
        if !dice.happens(troubled) {
            return Self::Succeed;
        }
        let times = u8::try_from(dice.between(1, 3)).unwrap_or(1);
        match dice.below(12) {
            0 | 1 => Self::Fail(times),
            2 | 3 => Self::FailAfterCommit(times),
            4 => Self::Panic(times),
            5 => Self::Hang(1),
            6 | 7 => Self::Snooze(times),
            8 => Self::Kill(times.min(2)),
            9 => Self::Skip,
            10 => Self::Refuse,
            _ => Self::FailAlways,
        }
    }

    pub(crate) const fn fate(self) -> Fate {
        match self {
            Self::Skip => Fate::Skipped,
            Self::Refuse | Self::FailAlways => Fate::Dead,
            Self::Succeed
            | Self::Fail(_)
            | Self::FailAfterCommit(_)
            | Self::Panic(_)
            | Self::Hang(_)
            | Self::Snooze(_)
            | Self::Kill(_) => Fate::Done,
        }
    }

    /// As a payload carries it.
    pub(crate) const fn code(self) -> u16 {
        let (kind, times) = match self {
            Self::Succeed => (0, 0),
            Self::Fail(times) => (1, times),
            Self::FailAfterCommit(times) => (2, times),
            Self::Panic(times) => (3, times),
            Self::Hang(times) => (4, times),
            Self::Snooze(times) => (5, times),
            Self::Kill(times) => (6, times),
            Self::Skip => (7, 0),
            Self::Refuse => (8, 0),
            Self::FailAlways => (9, 0),
        };
        u16::from_be_bytes([kind, times])
    }

    /// From a payload.
    pub(crate) const fn from_code(code: u16) -> Self {
        match code.to_be_bytes() {
            [1, times] => Self::Fail(times),
            [2, times] => Self::FailAfterCommit(times),
            [3, times] => Self::Panic(times),
            [4, times] => Self::Hang(times),
            [5, times] => Self::Snooze(times),
            [6, times] => Self::Kill(times),
            [7, _] => Self::Skip,
            [8, _] => Self::Refuse,
            [9, _] => Self::FailAlways,
            [_, _] => Self::Succeed,
        }
    }
}
