//! The JSON of steps: what activities, signals, children and queries are given and answer.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::contract::{InvalidJson, Json, Limits};
use crate::workflows::WorkflowFailure;

/// The JSON of `value`, within the limits of a payload. A secret is refused: only contracts are sealed. The failure begins with
/// `what` it is the JSON of.
pub(super) fn write<T: Serialize + ?Sized>(
    value: &T,
    limits: &Limits,
    what: impl Display,
) -> Result<Value, WorkflowFailure> {
    let malformed =
        |error: serde_json::Error| WorkflowFailure::permanent(WorkflowFailure::MALFORMED, format!("{what}: {error}"));
    let text = serde_json::to_string(value).map_err(malformed)?;
    let json = Json::parse(text, limits)
        .map_err(|error: InvalidJson| WorkflowFailure::permanent(error.code(), format!("{what}: {error}")))?;
    json.to().map_err(malformed)
}

/// The value that `json` is. What is wrong with one that is none is not told in its own words: the failure is recorded and
/// shown.
pub(super) fn read<T: DeserializeOwned>(json: Value) -> Result<T, WorkflowFailure> {
    serde_json::from_value(json).map_err(|_| {
        let what = format!("it is no {}", std::any::type_name::<T>());
        WorkflowFailure::permanent(WorkflowFailure::MALFORMED, what)
    })
}
