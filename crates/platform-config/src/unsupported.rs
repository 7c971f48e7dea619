//! Keys that people know and that this version cannot act upon. Ignoring them would be a surprise.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};

const UNSUPPORTED: &str = "this build does not support it yet";

const fn key(path: &'static str, variable: &'static str, instead: &'static str) -> Key {
    Key::new(path, Form::Described(instead), Preset::Unset(UNSUPPORTED), UNSUPPORTED)
        .variable(variable)
        .secret()
}

const NO_TEMPORAL: &str = "it to be unset: workflows on Temporal are not built in";

pub(crate) static KEYS: [Key; 4] = [
    key("temporal_address", "TEMPORAL_ADDRESS", NO_TEMPORAL),
    key("temporal_namespace", "TEMPORAL_NAMESPACE", NO_TEMPORAL),
    key("temporal_task_queue", "TEMPORAL_TASK_QUEUE", NO_TEMPORAL),
    key("temporal_api_key", "TEMPORAL_API_KEY", NO_TEMPORAL),
];

pub(crate) fn refuse(reading: &mut Reading<'_>) {
    for key in &KEYS {
        if reading.is_given(key) {
            reading.refuse("", key, UNSUPPORTED);
        }
    }
}
