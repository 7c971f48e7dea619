//! Counts tests from what the test harness prints.

/// What ran in a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// The tests that were ignored without saying why.
    pub(crate) ignored_without_reason: Vec<String>,
}

impl Tally {
    /// Takes one line of output into account.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|test| test.strip_suffix(" ... ignored"))
        {
            self.ignored_without_reason.push(name.to_owned());
        }
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored_without_reason.extend(other.ignored_without_reason);
        self
    }
}

/// The number before `word` in `ok. 12 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, word: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, what)| *what == word)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn passed_and_failed_tests_of_all_binaries_are_summed() {
        let tally = tally(
            "running 3 tests\n\
             test a ... ok\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
        );
        assert_eq!((tally.passed, tally.failed), (8, 2));
    }

    #[test]
    fn an_ignored_test_is_reported_only_when_it_gives_no_reason() {
        let tally = tally(
            "test needs_a_server ... ignored, needs PostgreSQL\n\
             test forgotten ... ignored\n\
             test ignored_in_name ... ok\n",
        );
        assert_eq!(tally.ignored_without_reason, ["forgotten"]);
    }

    #[test]
    fn a_line_that_only_talks_about_tests_counts_nothing() {
        assert_eq!(tally("the test result: ok. 3 passed\ntest results\n"), Tally::default());
    }
}
