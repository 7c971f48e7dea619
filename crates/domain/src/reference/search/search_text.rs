//! What a record says, as it is looked up.

use serde_json::Value;

use crate::reference::records::Record;

/// The longest text that is kept of one record, in bytes.
const MAX_TEXT: usize = 8 * 1024;

/// Text in lower case, one space between words, at most 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchText(String);

impl SearchText {
    /// The text, brought to the form it is compared in.
    pub fn new(text: &str) -> Self {
        let mut folded = String::new();
        for word in text.split_whitespace() {
            let word = word.to_lowercase();
            let separator = usize::from(!folded.is_empty());
            if folded.len() + separator + word.len() > MAX_TEXT {
                break;
            }
            if separator == 1 {
                folded.push(' ');
            }
            folded.push_str(&word);
        }
        Self(folded)
    }

    /// The key, and every text and number in the body of a record.
    pub fn of(record: &Record) -> Self {
        let mut words = vec![record.key.as_str().to_owned()];
        // A stored body is JSON; one that cannot be read is found by its key.
        if let Ok(body) = serde_json::from_str(record.body.as_str()) {
            let mut left: Vec<Value> = vec![body];
            while let Some(value) = left.pop() {
                match value {
                    Value::String(text) => words.push(text),
                    Value::Number(number) => words.push(number.to_string()),
                    Value::Array(values) => left.extend(values.into_iter().rev()),
                    Value::Object(fields) => left.extend(fields.into_iter().rev().map(|(_, value)| value)),
                    Value::Null | Value::Bool(_) => {}
                }
            }
        }
        Self::new(&words.join(" "))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contract::ProjectId;
    use crate::reference::records::{RecordBody, RecordKey};
    use crate::time::Timestamp;

    fn record(body: &str) -> Record {
        Record {
            id: Uuid::nil().into(),
            project_id: ProjectId::from(1),
            key: RecordKey::new("Sensor-7").unwrap(),
            body: RecordBody::new(body).unwrap(),
            received_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_record_is_looked_up_by_its_key_its_texts_and_its_numbers() {
        let record = record(r#"{"message": "Pump  FAILED\nagain", "deep": [{"value": 41.5}, true, null]}"#);
        let text = SearchText::of(&record);
        for word in ["sensor-7", "pump failed again", "41.5"] {
            assert!(text.as_str().contains(word), "{text:?}");
        }
        assert!(!text.as_str().contains("true"));
    }

    #[test]
    fn what_is_kept_of_a_long_record_is_bounded_and_ends_with_a_whole_word() {
        let long = format!(r#""{}""#, "wörd ".repeat(10_000));
        let text = SearchText::of(&record(&long));
        assert!(text.as_str().len() <= MAX_TEXT && text.as_str().ends_with("wörd"));
        assert_eq!(SearchText::new(&"x".repeat(MAX_TEXT + 1)).as_str(), "");
    }
}
