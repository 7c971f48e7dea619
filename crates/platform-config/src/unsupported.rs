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

const NO_STORAGE: &str = "it to be unset: nothing is stored in objects";

pub(crate) static KEYS: [Key; 1] = [key("storage_url", "STORAGE_URL", NO_STORAGE)];

pub(crate) fn refuse(reading: &mut Reading<'_>) {
    for key in &KEYS {
        if reading.is_given(key) {
            reading.refuse("", key, UNSUPPORTED);
        }
    }
}
