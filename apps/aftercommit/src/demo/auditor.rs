//! Follows every request to its end: asks for the tree of what it led to, again and again until all of it is over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aftercommit::domain::time::{Clock as _, Timestamp};
use aftercommit::runtime::system::SystemClock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::demo::admin::Admin;
use crate::demo::call::What;
use crate::demo::order::Asked;
use crate::demo::tally::Tally;
use crate::demo::verdict::{Answered, Seen, Standing, judge};

/// How many trees are asked for at once: few, because each is looked for among all that waits.
const AT_ONCE: usize = 3;
/// How long after its answer a request is looked at first, at least: while there is much to do, twice the time it takes, so that
/// looking does not take the product's time away.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// The longest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Something that waits for its time for longer than this is not followed any further.
const LONGEST_FOLLOWED: Duration = Duration::from_mins(10);
/// Something that waits for its time is looked at this long after it.
const AFTER_ITS_TIME: Duration = Duration::from_millis(500);

/// A request to be followed.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    pub(crate) number: u64,
    pub(crate) request_id: String,
    pub(crate) what: What,
    pub(crate) answered: Answered,
    /// What follows from it when it was taken.
    pub(crate) events: &'static [&'static str],
    pub(crate) asked: Asked,
    looks: u32,
    seen: Seen,
    standing: Standing,
    /// Whether its events were compared with others.
    is_placed: bool,
}

impl Audit {
    pub(crate) fn new(
        (number, request_id): (u64, String),
        what: What,
        (answered, asked): (Answered, Asked),
        events: &'static [&'static str],
    ) -> Self {
        Self {
            number,
            request_id,
            what,
            answered,
            events,
            asked,
            looks: 0,
            seen: Seen::default(),
            standing: Standing::Open("it was not looked at".into()),
            is_placed: false,
        }
    }
}

/// Follows requests.
pub(crate) struct Auditor {
    pub(crate) admin: Arc<Admin>,
    pub(crate) tally: Arc<Tally>,
}

/// An audit with the time of its next look, soonest first.
struct Due(Instant, Audit);

impl Auditor {
    /// Follows what comes until nothing more comes and all is over, or until `enough`. What is not over then is stuck.
    pub(crate) async fn run(self, mut coming: mpsc::Receiver<Audit>, enough: CancellationToken) {
        let mut due: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
        let mut looking: JoinSet<(Audit, Result<(), String>)> = JoinSet::new();
        let mut is_ending = false;
        loop {
            self.tally.lock().open = u64::try_from(due.len() + looking.len()).unwrap_or(u64::MAX);
            if is_ending
                && looking.is_empty()
                && due
                    .iter()
                    .all(|Reverse(Due(_, audit))| is_settled(&audit.standing, is_ending))
            {
                break;
            }
            let next = due.peek().map(|Reverse(Due(at, _))| *at);
            let may_look = looking.len() < AT_ONCE;
            tokio::select! {
                biased;
                () = enough.cancelled() => break,
                Some(looked) = looking.join_next() => {
                    if let Ok((audit, result)) = looked {
                        self.after(audit, result, &mut due);
                    }
                }
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if may_look && next.is_some() => {
                    if let Some(Reverse(Due(_, audit))) = due.pop() {
                        looking.spawn(look(Arc::clone(&self.admin), Arc::clone(&self.tally), audit));
                    }
                }
                audit = coming.recv(), if !is_ending => match audit {
                    Some(audit) => due.push(Reverse(Due(Instant::now() + self.first_look(), audit))),
                    None => is_ending = true,
                },
            }
        }
        coming.close();
        while let Ok(audit) = coming.try_recv() {
            due.push(Reverse(Due(Instant::now(), audit)));
        }
        // What was being looked at is told of as it was before.
        while let Some(looked) = looking.join_next().await {
            if let Ok((audit, _)) = looked {
                due.push(Reverse(Due(Instant::now(), audit)));
            }
        }
        self.conclude(due);
    }

    fn first_look(&self) -> Duration {
        (self.tally.lock().typical * 2).clamp(FIRST_LOOK, LONGEST_WAIT)
    }

    fn after(&self, mut audit: Audit, result: Result<(), String>, due: &mut BinaryHeap<Reverse<Due>>) {
        audit.looks += 1;
        if let Err(reason) = result {
            self.tally.lock().in_trouble(&format!("operators' interface: {reason}"));
        }
        let wait = FIRST_LOOK.saturating_mul(1 << audit.looks.min(6)).min(LONGEST_WAIT);
        match &audit.standing {
            Standing::Over => {}
            Standing::Wrong(why) => {
                let words = format!("{}: {why}", audit.request_id);
                self.tally.lock().doubled.add(words);
            }
            Standing::Open(_) => due.push(Reverse(Due(Instant::now() + wait, audit))),
            Standing::Waits(until) => {
                let left = until_then(*until) + AFTER_ITS_TIME;
                // What waits for days is left to wait.
                if left > LONGEST_FOLLOWED {
                    return;
                }
                due.push(Reverse(Due(Instant::now() + left.max(wait), audit)));
            }
        }
    }

    fn conclude(&self, due: BinaryHeap<Reverse<Due>>) {
        let mut numbers = self.tally.lock();
        numbers.open = 0;
        for Reverse(Due(_, audit)) in due {
            match audit.standing {
                Standing::Over | Standing::Waits(_) => {}
                Standing::Wrong(why) => numbers.doubled.add(format!("{}: {why}", audit.request_id)),
                Standing::Open(why) => {
                    numbers.open += 1;
                    let words = format!("{} ({}): {why}", audit.request_id, audit.what.words());
                    let findings = if why.starts_with("no ") || why.starts_with("none ") {
                        &mut numbers.lost
                    } else {
                        &mut numbers.stuck
                    };
                    findings.add(words);
                }
            }
        }
    }
}

/// Whether nothing is to be waited for: at the end, what waits for a time that is far away is left to wait.
fn is_settled(standing: &Standing, is_ending: bool) -> bool {
    match standing {
        Standing::Over | Standing::Wrong(_) => true,
        Standing::Waits(until) => is_ending && until_then(*until) > Duration::from_mins(1),
        Standing::Open(_) => false,
    }
}

/// Whether everything that follows at once has come.
const fn is_all_there(standing: &Standing) -> bool {
    matches!(standing, Standing::Over | Standing::Waits(_))
}

fn until_then(at: Timestamp) -> Duration {
    at.signed_duration_since(SystemClock.now()).to_std().unwrap_or_default()
}

async fn look(admin: Arc<Admin>, tally: Arc<Tally>, mut audit: Audit) -> (Audit, Result<(), String>) {
    let tree = match admin.tree(&audit.request_id).await {
        Ok(tree) => tree,
        Err(reason) => return (audit, Err(reason)),
    };
    audit.standing = judge(audit.answered, audit.events, tree.as_ref());
    let mut seen = tree.as_ref().map(Seen::of).unwrap_or_default();
    // The first time counts: what ran later waited for its time.
    seen.took = audit.seen.took.or(seen.took);
    tally.saw(&audit.seen, &seen, audit.what);
    let is_to_be_placed = !audit.is_placed && audit.answered == Answered::Taken && is_all_there(&audit.standing);
    if let Some(tree) = tree.filter(|_| is_to_be_placed) {
        tally.placed(audit.asked, &tree);
        audit.is_placed = true;
    }
    audit.seen = seen;
    (audit, Ok(()))
}

impl Due {
    const fn key(&self) -> (Instant, u64) {
        (self.0, self.1.number)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
