//! Figures about figures: percentiles, and what one fsync costs here.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the disk is asked.
const FSYNCS: usize = 100;

/// The value below which the share `q` of `samples` lies, in milliseconds.
pub(crate) fn percentile_ms(samples: &mut [Duration], q: f64) -> f64 {
    samples.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = ((samples.len() as f64 * q) as usize).min(samples.len().saturating_sub(1));
    samples
        .get(at)
        .map_or(0.0, |sample| rounded(sample.as_secs_f64() * 1000.0))
}

/// Per second.
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    let count = count as f64;
    (count / elapsed.as_secs_f64()).round()
}

/// The median time of appending 4 KiB and `fdatasync` in `directory`.
pub(crate) fn fsync_p50_ms(directory: &Path) -> std::io::Result<f64> {
    let path = directory.join("fsync-probe");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut samples = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        file.write_all(&[0; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        samples.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(percentile_ms(&mut samples, 0.5))
}

/// The memory of this process at its peak, in MiB.
pub(crate) fn resident_mib() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.unwrap_or(0) / 1024)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
