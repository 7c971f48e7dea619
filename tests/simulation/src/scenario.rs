//! What a seed makes of a world: how large it is, and what can go wrong in it.

use std::time::Duration;

use aftercommit_domain::time::seconds;

use crate::dice::Dice;

/// A world's size and its faults.
pub(crate) struct Scenario {
    pub(crate) processes: usize,
    pub(crate) orders: u32,
    pub(crate) changes: u32,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// How often of a thousand calls one goes wrong.
    pub(crate) call_faults: u64,
    /// Which ways a call can go wrong here.
    pub(crate) calls: Vec<CallFault>,
    /// How long nothing happens to a process on average.
    pub(crate) calm: u64,
    /// What can happen to a process here.
    pub(crate) blows: Vec<Blow>,
    /// How often of a thousand deliveries one is handed out twice.
    pub(crate) echoes: u64,
    /// How often of a thousand tasks one does not simply succeed.
    pub(crate) troubled_tasks: u64,
    /// Whether relays take the shorter way.
    pub(crate) transfers: bool,
    pub(crate) batch_size: usize,
    pub(crate) concurrency: usize,
    pub(crate) prefetch_factor: usize,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFault {
    /// It is lost on its way.
    Refuse,
    /// It is done, and the answer is lost.
    LoseReply,
    /// It takes seconds.
    Slow,
    /// It never answers, where the caller has a deadline.
    Hang,
    /// The process dies before it is done.
    DieBefore,
    /// The process dies after it is done.
    DieAfter,
    /// The process stands still before it is done.
    StandStillBefore,
    /// The process stands still after it is done.
    StandStillAfter,
    /// The process is cut off before it is done, and stays so for a while.
    CutBefore,
    /// The process is cut off after it is done, and stays so for a while.
    CutAfter,
    /// A publish is done much later, and the caller hears nothing.
    Late,
    /// A publish is done now, and once more later.
    Twice,
    /// A publish is done in part, and the caller hears nothing.
    Partly,
    /// A publish is refused for some of its tasks.
    RefuseSome,
    /// The queue is full for a while: it refuses whatever anybody publishes.
    Full,
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// It dies.
    Die,
    /// It stands still, often for longer than its leases, and goes on.
    StandStill,
    /// It is stopped in stages, and started again.
    Stop,
    /// It reaches neither store nor queue for a while.
    Cut,
    /// Its clock is set.
    SetClock,
}

impl Scenario {
    pub(crate) const LEASE: Duration = seconds(8);

    pub(crate) fn of(dice: &Dice) -> Self {
        // Faults that are left out in one world show in another what they would hide.
        let some = |chance: u64| dice.happens(chance);
        let calls = [
            CallFault::Refuse,
            CallFault::LoseReply,
            CallFault::Slow,
            CallFault::Hang,
            CallFault::DieBefore,
            CallFault::DieAfter,
            CallFault::StandStillBefore,
            CallFault::StandStillAfter,
            CallFault::CutBefore,
            CallFault::CutAfter,
            CallFault::Late,
            CallFault::Twice,
            CallFault::Partly,
            CallFault::RefuseSome,
            CallFault::Full,
        ];
        let blows = [Blow::Die, Blow::StandStill, Blow::Stop, Blow::Cut, Blow::SetClock];
        let concurrency = dice.pick(&[1, 2, 4]).unwrap_or(1);
        Self {
            processes: usize::try_from(dice.between(1, 3)).unwrap_or(1),
            orders: u32::try_from(dice.between(2, 4)).unwrap_or(2),
            changes: u32::try_from(dice.between(2, 5)).unwrap_or(2),
            trouble: seconds(dice.between(5, 40)),
            call_faults: dice.pick(&[0, 10, 30, 80, 150]).unwrap_or(0),
            calls: calls.into_iter().filter(|_| some(500)).collect(),
            calm: dice.pick(&[1500, 4000, 12_000]).unwrap_or(4000),
            blows: blows.into_iter().filter(|_| some(500)).collect(),
            echoes: dice.pick(&[0, 0, 50, 300]).unwrap_or(0),
            troubled_tasks: dice.pick(&[0, 100, 300, 600]).unwrap_or(0),
            transfers: some(500),
            batch_size: dice.pick(&[1, 2, 3, 50]).unwrap_or(1),
            concurrency,
            prefetch_factor: dice.pick(&[1, 2, 4]).unwrap_or(1),
        }
    }
}
