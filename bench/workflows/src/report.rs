//! Figures about figures.

use std::time::Duration;

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
pub(crate) fn per_second(n: usize, elapsed: Duration) -> f64 {
    rounded(count(n) / elapsed.as_secs_f64())
}

/// As a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The memory of this process at its peak, in MiB.
pub(crate) fn resident_mib() -> std::io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u32>().ok());
    Ok(rounded(f64::from(kib.unwrap_or(0)) / 1024.0))
}

/// The processor time that this process has used, in milliseconds, to ten of them: what does not depend on who else works.
pub(crate) fn processor_ms() -> std::io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name before it may hold anything, so that fields are counted from its end: user and system are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    Ok(ticks
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .map(f64::from)
        .sum::<f64>()
        * 10.0)
}

/// How far a figure is from what it is to be.
pub(crate) fn against(figure: f64, aim: f64, is_met: bool) -> serde_json::Value {
    serde_json::json!({ "aim": aim, "met": is_met, "figure": rounded(figure) })
}

pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
