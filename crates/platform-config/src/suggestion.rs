//! The nearest known name for a mistyped one.

/// The candidate that differs least from `name`, if it is near enough to be what was meant.
///
/// Names longer than any key are not compared, so that the work is bounded.
pub(crate) fn nearest(name: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    const LONGEST: usize = 160;
    if name.len() > LONGEST {
        return None;
    }
    let limit = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| {
            // A name that was cut short is near, however much is missing.
            let is_start = name.len() > 2 && candidate.starts_with(name);
            (if is_start { 1 } else { distance(name, &candidate) }, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals and replacements that turn one text into the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = || ["RELAY__LEASE", "RELAY__BATCH_SIZE", "LOG__FILTER"].map(str::to_owned);
        assert_eq!(
            nearest("RELAY_BATCH_SIZE", known()).as_deref(),
            Some("RELAY__BATCH_SIZE")
        );
        assert_eq!(nearest("LOG__FILTR", known()).as_deref(), Some("LOG__FILTER"));
    }

    #[test]
    fn nothing_is_suggested_for_what_resembles_nothing() {
        assert_eq!(nearest("FROBNICATE", ["LOG__FILTER".to_owned()]), None);
        assert_eq!(nearest(&"X".repeat(100_000), ["LOG__FILTER".to_owned()]), None);
    }

    #[test]
    fn distance_counts_single_edits() {
        for (left, right, edits) in [("", "", 0), ("a", "", 1), ("lease", "laese", 2), ("lease", "leases", 1)] {
            assert_eq!(distance(left, right), edits);
        }
    }
}
