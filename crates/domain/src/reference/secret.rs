//! Secrets the product hands out: shown once, kept as digests.

use std::fmt;
use std::fmt::Write;

use crate::randomness::Randomness;
use crate::reference::{ApiKeyId, Digest};

/// A secret in clear: an API key, or the token of a link. Its `Debug` shows nothing; only its [`Digest`] is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new token of 256 random bits, as 64 hex digits.
    pub fn token(randomness: &dyn Randomness) -> Self {
        Self(random_hex(randomness))
    }

    /// A new API key: `ak_<id>_<secret>`, so that a leaked key can be told from its beginning.
    pub fn api_key(id: ApiKeyId, randomness: &dyn Randomness) -> Self {
        Self(format!("ak_{}_{}", id.uuid().simple(), random_hex(randomness)))
    }

    /// What someone presented. `None` for text no secret of this product can be.
    pub fn presented(text: &str) -> Option<Self> {
        let fits = (64..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The secret in clear: for the one answer or link that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹secret›")
    }
}

fn random_hex(randomness: &dyn Randomness) -> String {
    let mut bytes = [0_u8; 32];
    randomness.fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Randomness for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
        }
    }

    #[test]
    fn an_api_key_names_its_id_and_shows_nothing_in_a_log() {
        let key = Secret::api_key(ApiKeyId::from(uuid::Uuid::from_u128(1)), &Counting);
        assert!(
            key.expose()
                .starts_with("ak_00000000000000000000000000000001_000102030405")
        );
        assert_eq!(format!("{key:?}"), "‹secret›");
        assert_eq!(Secret::presented(key.expose()), Some(key));
    }

    #[test]
    fn text_that_is_no_secret_is_refused_before_any_lookup() {
        let long = "a".repeat(129);
        for bad in ["", "short", &"é".repeat(40), &long, &format!("{} ", "a".repeat(64))] {
            assert_eq!(Secret::presented(bad), None, "{bad:?}");
        }
    }
}
