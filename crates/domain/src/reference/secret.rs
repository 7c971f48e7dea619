//! Secrets the product hands out: shown once, kept as digests.

use std::fmt;

use crate::randomness::Randomness;
use crate::reference::{ApiKeyId, Digest, InvitationId};

/// How many letters and digits 128 bits take.
const DIGITS: usize = 22;

/// A secret in clear: an API key, or the token of a link. Its `Debug` shows nothing; only its [`Digest`] is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new token of 128 random bits, as 22 letters and digits: short enough that a link in an e-mail stays on one line.
    pub fn token(randomness: &dyn Randomness) -> Self {
        Self(base62(random(randomness)))
    }

    /// A new token of an invitation: the invitation's id and a [`token`](Self::token), so that the link needs no more.
    pub fn invitation_token(id: InvitationId, randomness: &dyn Randomness) -> Self {
        Self(base62(id.uuid().as_u128()) + &base62(random(randomness)))
    }

    /// A new API key: `ak_<id>_<secret>`, so that a leaked key can be told from its beginning.
    pub fn api_key(id: ApiKeyId, randomness: &dyn Randomness) -> Self {
        let secret = random(randomness);
        Self(format!(
            "ak_{}_{}{}",
            id.uuid().simple(),
            base62(secret),
            base62(random(randomness))
        ))
    }

    /// What someone presented. `None` for text no secret of this product can be.
    pub fn presented(text: &str) -> Option<Self> {
        let fits = (DIGITS..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
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

fn random(randomness: &dyn Randomness) -> u128 {
    let mut bytes = [0_u8; 16];
    randomness.fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

/// Letters and digits only, so that a double click takes all of it and nothing needs escaping.
fn base62(mut number: u128) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = ['0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        // Below 62, so it is an index of the alphabet and fits.
        let index = usize::try_from(number % 62).unwrap_or_default();
        *digit = ALPHABET.get(index).copied().map_or('0', char::from);
        number /= 62;
    }
    digits.iter().collect()
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
        let (id, secret) = key.expose().rsplit_once('_').unwrap();
        assert_eq!(id, "ak_00000000000000000000000000000001");
        assert_eq!(secret.len(), 2 * DIGITS);
        assert_eq!(format!("{key:?}"), "‹secret›");
        assert_eq!(Secret::presented(key.expose()), Some(key));
    }

    #[test]
    fn every_number_has_its_own_digits_and_all_have_the_same_length() {
        assert_eq!(base62(0), "0".repeat(22));
        assert_eq!(base62(61), format!("{}z", "0".repeat(21)));
        assert_eq!(base62(62), format!("{}10", "0".repeat(20)));
        assert_eq!(base62(u128::MAX), "7n42DGM5Tflk9n8mt7Fhc7");
        let token = Secret::invitation_token(InvitationId::from(uuid::Uuid::from_u128(62)), &Counting);
        assert!(token.expose().starts_with(&base62(62)));
        assert_eq!(token.expose().len(), 2 * DIGITS);
    }

    #[test]
    fn text_that_is_no_secret_is_refused_before_any_lookup() {
        let long = "a".repeat(129);
        for bad in ["", "short", &"é".repeat(40), &long, &format!("{} ", "a".repeat(22))] {
            assert_eq!(Secret::presented(bad), None, "{bad:?}");
        }
    }
}
