//! `AFTERCOMMIT_SEALING__*`: the keys of what is encrypted in payloads.

use crate::{
    data_dir::{DataDir, SEALING_KEY_FILE},
    error::{ConfigError, ConfigErrors},
    key::{Form, Key, Preset},
    private_file,
    reading::{REDACTED, Reading},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::SecretBox;
use std::path::{Path, PathBuf};

/// Where the sealing keys come from.
#[derive(Debug)]
pub enum SealingSettings {
    /// The configuration holds them. The first one seals, all of them open.
    Keys(Vec<SealingKey>),
    /// The operator keeps them in this file, and it must exist; [`read_sealing_keys`] reads it.
    File(PathBuf),
    /// The process keeps one here and makes it when it is missing: `sealing.key` in the data directory, the default.
    OwnFile(PathBuf),
}

/// One sealing key.
#[derive(Debug)]
pub struct SealingKey {
    /// What sealed values name the key by: 1 to 32 of `a-z`, `0-9`, `-` and `_`.
    pub id: String,
    /// The key itself.
    pub key: SecretBox<[u8; SEALING_KEY_LENGTH]>,
}

/// The length of a sealing key in bytes.
pub const SEALING_KEY_LENGTH: usize = 32;

/// How keys are written, in the configuration and in a file.
const ACCEPTED: &str = "id:key,id2:key2 with each key 32 bytes in base64, the one that seals first";

/// More keys than a rotation ever needs, and few enough to try.
const MOST_KEYS: usize = 16;

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "sealing.keys",
        Form::Described(ACCEPTED),
        Preset::Unset("sealing.keys_file"),
        "The keys of sealed values. The first one seals, all of them open.",
    )
    .secret(),
    Key::new(
        "sealing.keys_file",
        Form::Described("the path of a file with sealing.keys in it, one key a line or separated by commas"),
        Preset::InDataDir {
            prefix: "",
            name: SEALING_KEY_FILE,
        },
        "The file of those keys. The process makes the default file when it is missing, but no other.",
    ),
];

impl SealingSettings {
    /// `shares_a_broker`: other processes read what this one seals, and a key of its own would keep it from them.
    pub(crate) fn read(reading: &mut Reading<'_>, data_dir: &DataDir, shares_a_broker: bool) -> Self {
        let [keys, keys_file] = &KEYS;
        let given = reading.parsed(keys, parse, |_| REDACTED.to_owned());
        let file = reading.path(keys_file);
        if reading.is_given(keys) && reading.is_given(keys_file) {
            reading.refuse("", keys, "cannot be given together with sealing.keys_file");
        }
        match (given, file) {
            (Some(keys), _) => Self::Keys(keys),
            (None, Some(file)) => Self::File(file),
            (None, None) => {
                if shares_a_broker && !reading.is_given(keys) && !reading.is_given(keys_file) {
                    reading.refuse(
                        "",
                        keys,
                        "is missing, and with AMQP_URL all processes need the same keys",
                    );
                }
                Self::OwnFile(data_dir.sealing_key_file())
            }
        }
    }
}

/// Reads the sealing keys of a file. At least one is returned, the one that seals first.
///
/// # Errors
/// The file is missing, unreadable, empty, or holds anything but keys. The message never repeats its content.
pub fn read_sealing_keys(path: &Path) -> Result<Vec<SealingKey>, ConfigErrors> {
    let [_, key] = &KEYS;
    let name = format!("{} ({})", key.name("").variable, path.display());
    let refused = |problem: &str| ConfigErrors::from(ConfigError::new(&name, problem).expected(ACCEPTED));
    let text = private_file::read(path)
        .map_err(|error| refused(&error.to_string()))?
        .text;
    parse(&text).map_err(|problem| refused(&problem))
}

fn parse(text: &str) -> Result<Vec<SealingKey>, String> {
    let mut keys: Vec<SealingKey> = Vec::new();
    let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
    for (index, entry) in entries.enumerate() {
        let position = index + 1;
        if position > MOST_KEYS {
            return Err(format!("has more than {MOST_KEYS} keys"));
        }
        let (id, encoded) = entry
            .split_once(':')
            .ok_or_else(|| format!("key {position} has no id"))?;
        let is_id = (1..=32).contains(&id.len())
            && id
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !is_id {
            return Err(format!(
                "key {position} has an id that is not 1 to 32 of a-z, 0-9, - and _"
            ));
        }
        if keys.iter().any(|key| key.id == id) {
            return Err(format!("key {position} has the id of an earlier one"));
        }
        let key = decode(encoded).ok_or_else(|| format!("key {position} is not 32 bytes in base64"))?;
        keys.push(SealingKey { id: id.to_owned(), key });
    }
    if keys.is_empty() {
        Err("holds no key".to_owned())
    } else {
        Ok(keys)
    }
}

fn decode(encoded: &str) -> Option<SecretBox<[u8; SEALING_KEY_LENGTH]>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    let mut bytes = BASE64.decode(encoded).ok()?;
    let key = <[u8; SEALING_KEY_LENGTH]>::try_from(bytes.as_slice())
        .ok()
        .map(|key| SecretBox::new(Box::new(key)));
    // The copy would stay in freed memory.
    bytes.fill(0);
    key
}
