//! What a run leaves to the one that goes on.

use aftercommit_domain::workflows::{StepError, WorkflowFailure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use super::events::Signal;
use crate::payload;

/// What follows the envelope when a run goes on as a new one. It stays in histories: later builds must read it.
#[derive(Serialize, Deserialize)]
pub(super) struct Carried {
    /// Which run of the workflow since it was started this is, from 1.
    pub(super) attempt: u32,
    /// Unread signals, the oldest first.
    pub(super) signals: Vec<CarriedSignal>,
    /// The requests that brought signals to the runs before, the oldest first: the server knows those of one run only.
    pub(super) told: Vec<String>,
    /// Whether the run before was told to end, and did not see it.
    #[serde(default)]
    pub(super) is_cancelled: bool,
}

impl Carried {
    /// What a run has that continues none.
    pub(super) const fn by_the_first() -> Self {
        Self {
            attempt: 1,
            signals: Vec::new(),
            told: Vec::new(),
            is_cancelled: false,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct CarriedSignal {
    name: String,
    value: Result<Value, WorkflowFailure>,
}

impl From<Signal> for CarriedSignal {
    fn from(signal: Signal) -> Self {
        Self {
            name: signal.name,
            value: signal.value.map_err(|error| match error {
                StepError::Failed(failure) => failure,
                StepError::Cancelled => WorkflowFailure::permanent(WorkflowFailure::MALFORMED, "it was cancelled"),
            }),
        }
    }
}

impl From<CarriedSignal> for Signal {
    fn from(signal: CarriedSignal) -> Self {
        Self {
            name: signal.name,
            request_id: None,
            value: signal.value.map_err(StepError::from),
        }
    }
}

/// The requests that brought signals to the runs before the one that was started with this. `None`: there were none, or
/// they are of another program.
pub(crate) fn told_before(input: &[Payload]) -> Option<Vec<String>> {
    let carried = input.get(1).map(payload::read::<Carried>)?;
    carried.ok().map(|carried| carried.told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GOLDEN: &str = include_str!("../../tests/golden/carried.json");

    #[test]
    fn what_goes_with_a_run_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
        let signal = |value| Signal {
            name: "note".to_owned(),
            request_id: Some("never carried here".to_owned()),
            value,
        };
        let unreadable = WorkflowFailure::permanent(WorkflowFailure::MALFORMED, "it is no JSON");
        let carried = Carried {
            attempt: 2,
            signals: [signal(Ok(json!({ "text": "hello" }))), signal(Err(unreadable.into()))]
                .map(CarriedSignal::from)
                .into(),
            told: vec!["0197f3a0-0000-7000-8000-000000000001".to_owned()],
            is_cancelled: true,
        };
        let written = serde_json::to_string_pretty(&carried).unwrap();
        assert_eq!(written, GOLDEN.trim_end());
        let read: Carried = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_string_pretty(&read).unwrap(), written);
    }

    #[test]
    fn what_a_run_of_the_first_release_left_is_read() {
        let first = r#"{"attempt":3,"signals":[],"told":["a"]}"#;
        let input = [payload::of(&Value::Null), payload::of_text(first.to_owned())];
        assert_eq!(told_before(&input), Some(vec!["a".to_owned()]));
        assert_eq!(told_before(&input[..1]), None);
    }
}
