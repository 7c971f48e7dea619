//! Counts tests from what the test harness prints.

/// How much is kept of what a failed test printed, so that the end of a long output says why it is red.
const KEPT: usize = 12;
const KEPT_OF_A_LINE: usize = 600;

/// What ran in a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// The names of those that failed, where they are known.
    pub(crate) failed_tests: Vec<String>,
    /// What those printed, the first lines of each.
    pub(crate) said: Vec<String>,
    /// How many lines of what is being read are still to be kept.
    pub(crate) wanted: usize,
    /// The tests that were ignored without saying why.
    pub(crate) ignored_without_reason: Vec<String>,
}

impl Tally {
    /// One failure that no test told of, said at once and once more in the end.
    pub(crate) fn failure(what: String) -> Self {
        println!("error: {what}");
        Self {
            failed: 1,
            failed_tests: vec![what],
            ..Self::default()
        }
    }

    /// Takes one line of output into account.
    pub(crate) fn read(&mut self, line: &str) {
        self.keep(line);
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some(name) = test.strip_suffix(" ... ignored") {
                self.ignored_without_reason.push(name.to_owned());
            } else if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.failed_tests.push(name.to_owned());
            }
        }
    }

    /// Keeps what the harness repeats of a failed test, from `---- its::name stdout ----`.
    fn keep(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            self.wanted = KEPT;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.wanted = 0;
        }
        if self.wanted > 0 && !line.is_empty() {
            self.wanted -= 1;
            self.said.push(line.chars().take(KEPT_OF_A_LINE).collect());
        }
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failed_tests.extend(other.failed_tests);
        self.said.extend(other.said);
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
        assert!(tally.failed_tests.is_empty());
        assert_eq!(tally.ignored_without_reason, ["forgotten"]);
    }

    #[test]
    fn a_test_that_failed_is_known_by_its_name() {
        let tally = tally("test a::b ... ok\ntest a::c ... FAILED\ntest result: FAILED. 1 passed; 1 failed;\n");
        assert_eq!((tally.failed, tally.failed_tests), (1, vec!["a::c".to_owned()]));
    }

    #[test]
    fn what_a_failed_test_printed_is_kept_and_no_more_than_its_first_lines() {
        let many = "more\n".repeat(100);
        let tally = tally(&format!(
            "test a::c ... FAILED\n\nfailures:\n\n---- a::c stdout ----\n\nthread 'a::c' panicked:\n{many}\n\n\
             ---- a::d stdout ----\nshort\n\nfailures:\n    a::c\n\ntest result: FAILED. 1 passed; 2 failed;\n"
        ));
        assert_eq!(tally.said[..2], ["---- a::c stdout ----", "thread 'a::c' panicked:"]);
        assert_eq!(tally.said[super::KEPT..], ["---- a::d stdout ----", "short"]);
    }

    #[test]
    fn a_line_that_only_talks_about_tests_counts_nothing() {
        assert_eq!(tally("the test result: ok. 3 passed\ntest results\n"), Tally::default());
    }
}
