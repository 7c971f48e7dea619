//! How far an export is, and which of the parts that were put are its file's.

use serde::{Deserialize, Serialize};

use crate::effects::{ObjectStorageError, PartNumber};
use crate::reference::RecordId;

/// How many parts one call puts, so that the workflow hears of its progress.
const PARTS_OF_A_CALL: u32 = 16;

/// How far an export is: what attempts tell each other, and calls the workflow.
///
/// No number is put by two attempts. Each has [`PARTS_OF_A_CALL`] numbers of its own, behind those of the attempts and calls
/// before it, and the file is made of the numbers that are listed here: what a worker puts that was taken for lost is under a
/// number that nobody lists, or what it told of itself. A call costs as many numbers as it has parts for each of its attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExportCursor {
    /// The last record that is in a part.
    pub(super) after: Option<RecordId>,
    /// How many parts there are.
    parts: u32,
    /// How many rows are in them.
    pub(super) rows: u64,
    /// The numbers of the parts, first and last of each run, in the order of the file. Left out where they are 1 to `parts`:
    /// no attempt was lost, or a release put them that knew no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<(u32, u32)>,
    /// The last number that calls before may put. Left out where it is that of the last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<u32>,
}

impl ExportCursor {
    /// The numbers that this attempt of the call puts which begins here.
    pub(super) fn numbers_of(&self, attempt: u32) -> NumbersOfAttempt {
        let attempts_before = attempt.saturating_sub(1);
        let before = self
            .taken
            .unwrap_or(self.parts)
            .saturating_add(attempts_before.saturating_mul(PARTS_OF_A_CALL));
        NumbersOfAttempt {
            last: before,
            end: before.saturating_add(PARTS_OF_A_CALL),
        }
    }

    /// How many parts there are when the call has put all it may that begins here.
    pub(super) const fn last_of_call(&self) -> u32 {
        self.parts.saturating_add(PARTS_OF_A_CALL)
    }

    /// How many parts there are.
    pub(super) const fn parts(&self) -> u32 {
        self.parts
    }

    /// The part with this number is the next of the file.
    pub(super) fn add(&mut self, number: PartNumber) {
        let number = number.get();
        if self.runs.is_empty() && number != self.parts + 1 && self.parts > 0 {
            self.runs.push((1, self.parts));
        }
        let is_plain = self.runs.is_empty() && number == self.parts + 1;
        self.parts += 1;
        match self.runs.last_mut() {
            _ if is_plain => {}
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.runs.push((number, number)),
        }
    }

    /// Where the next call begins: behind every number of this one's attempts.
    pub(super) fn after_all_of(mut self, numbers: &NumbersOfAttempt) -> Self {
        self.taken = (numbers.end != self.parts).then_some(numbers.end);
        self
    }

    /// The numbers of the parts, in the order of the file.
    ///
    /// # Errors
    /// A number that no part can have.
    pub(super) fn numbers(&self) -> Result<Vec<PartNumber>, ObjectStorageError> {
        let plain = [(1, self.parts)];
        let runs = if self.runs.is_empty() { &plain } else { &*self.runs };
        runs.iter()
            .flat_map(|(first, last)| *first..=*last)
            .map(PartNumber::new)
            .collect()
    }
}

/// The numbers that one attempt puts, and nobody else.
#[derive(Debug)]
pub(super) struct NumbersOfAttempt {
    last: u32,
    end: u32,
}

impl NumbersOfAttempt {
    /// The next number.
    ///
    /// # Errors
    /// No object has as many parts.
    pub(super) fn next(&mut self) -> Result<PartNumber, ObjectStorageError> {
        self.last = self.last.saturating_add(1);
        PartNumber::new(self.last)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(cursor: &mut ExportCursor, numbers: &mut NumbersOfAttempt, parts: u32) {
        for _ in 0..parts {
            cursor.add(numbers.next().unwrap());
        }
    }

    fn numbers(cursor: &ExportCursor) -> Vec<u32> {
        cursor.numbers().unwrap().into_iter().map(PartNumber::get).collect()
    }

    #[test]
    fn no_two_attempts_of_an_export_have_a_number_in_common() {
        let mut begins = ExportCursor::default();
        let mut taken = Vec::new();
        for attempts in [1, 3, 1, 2] {
            let mut cursor = begins.clone();
            for attempt in 1..=attempts {
                let mut own = begins.numbers_of(attempt);
                let all: Vec<u32> = (own.last + 1..=own.end).collect();
                assert_eq!(all.len(), PARTS_OF_A_CALL as usize);
                assert!(all.iter().all(|number| !taken.contains(number)), "{taken:?} {all:?}");
                taken.extend(all);
                if attempt < attempts {
                    put(&mut cursor, &mut own, 5);
                } else {
                    let rest = begins.last_of_call() - cursor.parts();
                    put(&mut cursor, &mut own, rest);
                    begins = cursor.clone().after_all_of(&own);
                }
            }
        }
        assert_eq!(begins.parts(), 4 * PARTS_OF_A_CALL);
        let listed = numbers(&begins);
        assert_eq!(listed.len(), begins.parts() as usize);
        assert!(listed.is_sorted() && listed.iter().all(|number| taken.contains(number)));
        assert_eq!(begins.runs, [(1, 21), (33, 37), (49, 54), (65, 85), (97, 107)]);
    }

    #[test]
    fn an_export_none_of_whose_attempts_was_lost_is_written_as_it_always_was() {
        let old = json!({"after": null, "parts": 16, "rows": 640});
        let mut cursor = ExportCursor::default();
        let mut own = cursor.numbers_of(1);
        put(&mut cursor, &mut own, PARTS_OF_A_CALL);
        cursor.rows = 640;
        let cursor = cursor.after_all_of(&own);
        assert_eq!(serde_json::to_value(&cursor).unwrap(), old);
        assert_eq!(serde_json::from_value::<ExportCursor>(old).unwrap(), cursor);
        assert_eq!(numbers(&cursor), (1..=16).collect::<Vec<_>>());
        assert_eq!(cursor.numbers_of(1).next(), PartNumber::new(17));
    }

    #[test]
    fn an_export_with_more_parts_than_an_object_may_have_is_refused() {
        let full = ExportCursor {
            parts: 10_000,
            ..ExportCursor::default()
        };
        let refused = full.numbers_of(1).next();
        assert_eq!(refused, Err(ObjectStorageError::NoSuchPart { number: 10_001 }));
        let endless = full.numbers_of(u32::MAX).next();
        assert!(endless.is_err(), "{endless:?}");
    }
}
