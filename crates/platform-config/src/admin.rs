//! `AFTERCOMMIT_ADMIN__*`: who may use `/admin/v1` and the console.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use secrecy::SecretString;

/// Settings of the operator's interface.
#[derive(Debug)]
pub struct AdminSettings {
    /// The token that `/admin/v1` asks for. Unset by default: the process makes one for each run.
    pub token: Option<SecretString>,
}

const SHORTEST: usize = 16;
const LONGEST: usize = 256;

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "admin.token",
    Form::Described("16 to 256 printable ASCII characters without spaces"),
    Preset::Unset("the process makes one for each run and writes it to run.json"),
    "The token that /admin/v1 asks for.",
)
.secret()];

impl AdminSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [token] = &KEYS;
        Self {
            token: reading.secret(token, check),
        }
    }
}

/// The token travels in a header, so it may hold only what a header may.
fn check(token: &str) -> Result<(), String> {
    if !(SHORTEST..=LONGEST).contains(&token.len()) {
        return Err(format!("has {} characters", token.chars().count()));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that a header cannot carry".to_owned());
    }
    Ok(())
}
