//! What a process costs, from `/proc`; and what a row of measurements says.

use std::fs;
use std::time::Duration;

/// The memory and processor time of a process so far.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Resident memory in MiB.
    pub rss_mib: f64,
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Times it was put to sleep and woken.
    pub switches: u64,
}

impl Figures {
    /// Those of a process. `None` on a system without `/proc`.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        let rss_mib = field("VmRSS:")? / 1024.0;
        // The name in brackets may hold spaces; user and system time are the 12th and 13th field after it, in ticks of
        // 10 ms on every Linux.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: u64 = fields
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let switches = fs::read_dir(format!("/proc/{pid}/task"))
            .ok()?
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
            .filter_map(|status| {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
                line.trim().parse::<u64>().ok()
            })
            .sum();
        Some(Self {
            rss_mib,
            cpu: Duration::from_millis(ticks * 10),
            switches,
        })
    }
}

/// The middle one of some measurements.
pub fn p50(mut measured: Vec<Duration>) -> Duration {
    measured.sort_unstable();
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}
