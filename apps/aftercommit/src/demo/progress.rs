//! What a demonstration shows while it goes on: one block that is drawn anew on a terminal, a line now and then elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aftercommit::NodeState;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::demo::tally::{Numbers, Tally};
use crate::printable::printable;

const REDRAW: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(5);
/// As wide as a line of the block may be: one that wraps could not be drawn over.
const WIDEST: usize = 79;

/// Shows the numbers until `done`.
pub(crate) struct Progress {
    pub(crate) tally: Arc<Tally>,
    pub(crate) length: Duration,
    pub(crate) patience: Duration,
    /// Where the traffic goes, for the first line.
    pub(crate) target: String,
}

impl Progress {
    pub(crate) async fn show(self, done: CancellationToken) {
        let is_terminal = std::io::stderr().is_terminal();
        let (began, mut drawn) = (Instant::now(), 0);
        let mut ticks = interval(if is_terminal { REDRAW } else { LINE_EVERY });
        ticks.tick().await;
        loop {
            tokio::select! {
                () = done.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let (numbers, elapsed) = (self.tally.numbers(), began.elapsed());
            if is_terminal {
                let block = self.block(&numbers, elapsed);
                draw(&block, drawn);
                drawn = block.len();
            } else {
                say(&line(&numbers, elapsed));
            }
        }
        if is_terminal {
            // The summary takes the place of the block.
            draw(&[], drawn);
        }
    }

    fn block(&self, numbers: &Numbers, elapsed: Duration) -> Vec<String> {
        let mut lines = vec![
            format!("aftercommit demo · {} · {}", self.target, self.stage(numbers, elapsed)),
            format!(
                "requests   {} ({:.1}/s)   {} taken   {} refused   {} repeated   {} unanswered",
                numbers.requests,
                numbers.pace(),
                numbers.taken.values().sum::<u64>(),
                numbers.refused,
                numbers.repeated,
                numbers.unanswered
            ),
            format!(
                "events     {} committed   {} relayed   {}",
                numbers.events,
                numbers.relayed,
                outbox(numbers)
            ),
            format!("tasks      {}", done(numbers)),
            format!("           {}", waiting(numbers)),
            format!("e-mails    {}", numbers.emails),
            format!("latency    {}", latency(numbers)),
        ];
        if let Some(trouble) = &numbers.trouble {
            let since = trouble.since.elapsed().as_secs_f64();
            lines.push(format!("for {since:.1} s: {}", printable(&trouble.reason)));
        }
        for (what, findings) in findings(numbers) {
            lines.push(format!("{what}  {}", findings.count));
        }
        lines.iter().map(|line| line.chars().take(WIDEST).collect()).collect()
    }

    fn stage(&self, numbers: &Numbers, elapsed: Duration) -> String {
        if elapsed < self.length {
            format!("{} s of {} s", elapsed.as_secs(), self.length.as_secs())
        } else {
            format!(
                "waiting for {} to end (at most {} s)",
                numbers.open + numbers.unanswered,
                self.patience.as_secs()
            )
        }
    }
}

/// One line for a log.
fn line(numbers: &Numbers, elapsed: Duration) -> String {
    let trouble = numbers.trouble.as_ref().map_or_else(String::new, |trouble| {
        format!(
            ", for {:.1} s: {}",
            trouble.since.elapsed().as_secs_f64(),
            printable(&trouble.reason)
        )
    });
    let wrong: Vec<String> = findings(numbers)
        .iter()
        .map(|(what, findings)| format!(", {what} {}", findings.count))
        .collect();
    let wrong = wrong.concat();
    format!(
        "{:>4} s: {} requests ({} taken, {} refused, {} unanswered), {} events relayed, {}, {}, {} e-mails{trouble}{wrong}",
        elapsed.as_secs(),
        numbers.requests,
        numbers.taken.values().sum::<u64>(),
        numbers.refused,
        numbers.unanswered,
        numbers.relayed,
        tasks(numbers),
        outbox(numbers),
        numbers.emails,
    )
}

/// What must not be there, as far as it is there.
fn findings(numbers: &Numbers) -> Vec<(&'static str, &crate::demo::tally::Findings)> {
    let all = [
        ("LOST", &numbers.lost),
        ("DOUBLED", &numbers.doubled),
        ("STUCK", &numbers.stuck),
        ("SURPRISING", &numbers.surprises),
    ];
    all.into_iter().filter(|(_, findings)| findings.count > 0).collect()
}

fn tasks(numbers: &Numbers) -> String {
    format!("{} · {}", done(numbers), waiting(numbers))
}

fn done(numbers: &Numbers) -> String {
    format!(
        "{} done · {} skipped · {} retries · {} dead",
        numbers.tasks_in(NodeState::Completed),
        numbers.tasks_in(NodeState::Skipped) + numbers.tasks_in(NodeState::Cancelled),
        numbers.retries,
        numbers.tasks_in(NodeState::Dead),
    )
}

fn waiting(numbers: &Numbers) -> String {
    let states = [
        NodeState::Available,
        NodeState::Running,
        NodeState::Retryable,
        NodeState::Paused,
        NodeState::InOutbox,
        NodeState::ToCome,
        NodeState::Unseen,
    ];
    let busy: u64 = states.iter().map(|state| numbers.tasks_in(*state)).sum();
    format!(
        "{} waiting for their time · {busy} under way",
        numbers.tasks_in(NodeState::Scheduled)
    )
}

fn outbox(numbers: &Numbers) -> String {
    let Some(waiting) = &numbers.waiting else {
        return "outbox unknown".into();
    };
    let rows = waiting.outbox.waiting + waiting.outbox.claimed;
    match waiting.oldest_age_seconds {
        Some(age) if rows > 0 => format!("outbox {rows}, oldest {:.0} ms", age * 1_000.0),
        Some(_) | None => format!("outbox {rows}"),
    }
}

/// `p50 4 ms, p99 20 ms; slowest 31 ms (invitations)`
pub(crate) fn latency(numbers: &Numbers) -> String {
    let (Some(p50), Some(p99), Some((slowest, what))) = (numbers.latency(0.5), numbers.latency(0.99), numbers.slowest)
    else {
        return "not known yet".into();
    };
    format!(
        "p50 {}, p99 {}; slowest {} ({})",
        shown(p50),
        shown(p99),
        shown(slowest),
        what.words()
    )
}

/// Milliseconds, or seconds when they are many.
pub(crate) fn shown(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.0} ms", time.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Draws lines over the `drawn` ones that were there. Whoever looked may be gone.
fn draw(lines: &[String], drawn: usize) {
    let mut text = String::new();
    if drawn > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "\u{1b}[{drawn}A");
    }
    text.push_str("\u{1b}[J");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A line of its own on standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
