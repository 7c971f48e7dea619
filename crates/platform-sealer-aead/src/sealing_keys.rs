//! The keys of sealed values: their ids, their text form, and which one seals.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// The length of a key in bytes.
pub const KEY_LENGTH: usize = 32;

/// The most keys one set may have: more than a rotation ever needs.
pub const MAX_KEYS: usize = 16;

const MAX_ID_LENGTH: usize = 32;

/// At least one key with an id; the first seals, all of them open. Wiped from memory when dropped; `Debug` shows the
/// ids only.
#[derive(Clone)]
pub struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

#[derive(Clone)]
pub(crate) struct SealingKey {
    pub(crate) id: String,
    /// Boxed, so that moving the set leaves no copies of the key behind.
    pub(crate) bytes: Box<Zeroizing<[u8; KEY_LENGTH]>>,
}

/// The text is no set of sealing keys. Keys are named by their position, so that no part of a key is ever shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSealingKeys {
    /// There is no key in it.
    #[error("no sealing key is given; expected id:key,id2:key2 with each key 32 bytes in base64")]
    Empty,
    /// More than [`MAX_KEYS`].
    #[error("more than {MAX_KEYS} sealing keys are given")]
    TooMany,
    /// No id stands before the key.
    #[error("sealing key {position} has no id; expected id:key")]
    NoId {
        /// Which key, counted from 1.
        position: usize,
    },
    /// The id has another form.
    #[error("sealing key {position} has an id that is not 1 to 32 of a-z, 0-9, - and _")]
    InvalidId {
        /// Which key, counted from 1.
        position: usize,
    },
    /// An earlier key has the same id.
    #[error("sealing key {position} has the id of an earlier one; every key needs its own")]
    DuplicateId {
        /// Which key, counted from 1.
        position: usize,
    },
    /// The key is not base64 of either alphabet.
    #[error("sealing key {position} is not base64")]
    NotBase64 {
        /// Which key, counted from 1.
        position: usize,
    },
    /// The key is base64 of another length.
    #[error("sealing key {position} has {length} bytes; expected {KEY_LENGTH} bytes in base64")]
    WrongLength {
        /// Which key, counted from 1.
        position: usize,
        /// Its length in bytes.
        length: usize,
    },
}

impl SealingKeys {
    /// Reads `id:key,id2:key2`, the key that seals first.
    ///
    /// An id is 1 to 32 of `a-z`, `0-9`, `-` and `_`; a key is 32 bytes in standard or url-safe base64, with or without
    /// padding. Keys stand on lines of their own or between commas.
    ///
    /// # Errors
    /// What is wrong with which key. The text is never repeated.
    pub fn parse(text: &str) -> Result<Self, InvalidSealingKeys> {
        let mut keys = Vec::new();
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            let position = index + 1;
            let (id, encoded) = entry.split_once(':').ok_or(InvalidSealingKeys::NoId { position })?;
            keys.push((id.to_owned(), decode(encoded, position)?));
        }
        Self::checked(keys)
    }

    /// Takes ids and keys that were read elsewhere, the key that seals first.
    ///
    /// # Errors
    /// The same as [`SealingKeys::parse`].
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; KEY_LENGTH])>) -> Result<Self, InvalidSealingKeys> {
        Self::checked(
            keys.into_iter()
                .map(|(id, key)| (id, Box::new(Zeroizing::new(key))))
                .collect(),
        )
    }

    /// The ids in their order; the first is that of the key that seals.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(|key| key.id.as_str())
    }

    fn checked(keys: Vec<(String, Box<Zeroizing<[u8; KEY_LENGTH]>>)>) -> Result<Self, InvalidSealingKeys> {
        if keys.len() > MAX_KEYS {
            return Err(InvalidSealingKeys::TooMany);
        }
        let mut checked: Vec<SealingKey> = Vec::with_capacity(keys.len());
        for (index, (id, bytes)) in keys.into_iter().enumerate() {
            let position = index + 1;
            if !is_id(&id) {
                return Err(InvalidSealingKeys::InvalidId { position });
            }
            if checked.iter().any(|key| key.id == id) {
                return Err(InvalidSealingKeys::DuplicateId { position });
            }
            checked.push(SealingKey { id, bytes });
        }
        let mut checked = checked.into_iter();
        let first = checked.next().ok_or(InvalidSealingKeys::Empty)?;
        Ok(Self {
            first,
            others: checked.collect(),
        })
    }

    pub(crate) const fn first(&self) -> &SealingKey {
        &self.first
    }

    pub(crate) fn find(&self, id: &str) -> Option<&SealingKey> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// Written as a key file has it.
pub(crate) fn encode(id: &str, key: &[u8; KEY_LENGTH]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key));
    Zeroizing::new(format!("{id}:{}\n", encoded.as_str()))
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&id.len())
        && id
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn decode(encoded: &str, position: usize) -> Result<Box<Zeroizing<[u8; KEY_LENGTH]>>, InvalidSealingKeys> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
    let bytes = STANDARD
        .decode(encoded)
        .or_else(|_| URL_SAFE.decode(encoded))
        .map(Zeroizing::new)
        .map_err(|_| InvalidSealingKeys::NotBase64 { position })?;
    let mut key = Box::new(Zeroizing::new([0; KEY_LENGTH]));
    if bytes.len() != KEY_LENGTH {
        return Err(InvalidSealingKeys::WrongLength {
            position,
            length: bytes.len(),
        });
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

    #[test]
    fn a_key_is_read_in_either_alphabet_with_or_without_padding() {
        let url_safe = KEY.replace('/', "_").replace('+', "-");
        let expected = SealingKeys::parse(&format!("k:{KEY}")).unwrap();
        for written in [
            KEY.trim_end_matches('=').to_owned(),
            url_safe.clone(),
            url_safe.trim_end_matches('=').to_owned(),
        ] {
            let keys = SealingKeys::parse(&format!(" k:{written}\n")).unwrap();
            assert_eq!(keys.first().bytes, expected.first().bytes, "{written}");
        }
    }

    #[test]
    fn the_first_key_seals() {
        let keys = SealingKeys::parse(&format!("b:{KEY},a:{KEY}\nc:{KEY}")).unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(keys.first().id, "b");
    }

    #[test]
    fn text_that_is_no_set_of_keys_is_refused_and_never_repeated() {
        let position = 1;
        let many = vec![format!("k:{KEY}"); MAX_KEYS + 1].join(",");
        for (text, expected) in [
            ("", InvalidSealingKeys::Empty),
            (" ,\n", InvalidSealingKeys::Empty),
            ("s3cr3t", InvalidSealingKeys::NoId { position }),
            (&format!(":{KEY}"), InvalidSealingKeys::InvalidId { position }),
            (&format!("K:{KEY}"), InvalidSealingKeys::InvalidId { position }),
            (
                &format!("{}:{KEY}", "x".repeat(33)),
                InvalidSealingKeys::InvalidId { position },
            ),
            ("k:s3cr3t!", InvalidSealingKeys::NotBase64 { position }),
            ("k:", InvalidSealingKeys::WrongLength { position, length: 0 }),
            ("k:s3cr3txx", InvalidSealingKeys::WrongLength { position, length: 6 }),
            (
                &format!("k:{KEY},k:{KEY}"),
                InvalidSealingKeys::DuplicateId { position: 2 },
            ),
            (&many, InvalidSealingKeys::TooMany),
        ] {
            let error = SealingKeys::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cr3t") && !shown.contains(KEY), "{shown}");
        }
    }

    #[test]
    fn keys_read_elsewhere_are_checked_the_same_way() {
        assert_eq!(SealingKeys::new([]).unwrap_err(), InvalidSealingKeys::Empty);
        let twice = SealingKeys::new([("k".to_owned(), [1; 32]), ("k".to_owned(), [2; 32])]);
        assert_eq!(twice.unwrap_err(), InvalidSealingKeys::DuplicateId { position: 2 });
        let keys = SealingKeys::new([("k".to_owned(), [1; 32])]).unwrap();
        assert_eq!(format!("{keys:?}"), "[\"k\"]");
    }

    #[test]
    fn a_written_key_is_read_back() {
        let keys = SealingKeys::parse(&encode("k", &[7; 32])).unwrap();
        assert_eq!(**keys.first().bytes, [7; 32]);
    }
}
