//! The secret of a webhook, and what is signed with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::randomness::Randomness;
use crate::time::Timestamp;

/// What every secret begins with, so that a leaked one is recognised.
const PREFIX: &str = "whsec_";

/// Random bytes of a new secret.
const NEW_BYTES: usize = 32;

/// The secret a receiver verifies webhooks with, in the form of the Standard Webhooks specification: `whsec_` and the
/// Base64 of 24 to 64 bytes. Its `Debug` shows nothing; stores keep it sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    text: String,
    key: Vec<u8>,
}

/// The text is no secret of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret is whsec_ and the Base64 of 24 to 64 bytes")]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    /// A new secret of 256 random bits.
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut key = vec![0; NEW_BYTES];
        randomness.fill(&mut key);
        Self {
            text: format!("{PREFIX}{}", STANDARD.encode(&key)),
            key,
        }
    }

    /// A secret as it was shown.
    ///
    /// # Errors
    /// [`InvalidWebhookSecret`], which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidWebhookSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidWebhookSecret)?;
        if !(24..=64).contains(&key.len()) {
            return Err(InvalidWebhookSecret);
        }
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }

    /// The secret in clear: for the one answer that shows it, and for the store that seals it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The value of `webhook-signature` for a message of this id, sent at this time with this body:
    /// `v1,` and the Base64 of the HMAC-SHA-256 of `<id>.<seconds since 1970>.<body>`.
    pub fn sign(&self, id: &str, sent_at: Timestamp, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            // HMAC takes keys of any length. A signature nobody accepts would be safe all the same.
            return String::new();
        };
        for part in [id, ".", &sent_at.timestamp().to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹secret›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{after, seconds};

    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        // The example of the Standard Webhooks reference implementations.
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let sent_at = after(Timestamp::UNIX_EPOCH, seconds(1_614_265_330));
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_is_read_again_and_shows_nothing_in_a_log() {
        struct Sevens;
        impl Randomness for Sevens {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(7);
            }
        }
        let secret = WebhookSecret::generate(&Sevens);
        assert_eq!(WebhookSecret::parse(secret.expose()), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "‹secret›");
    }

    #[test]
    fn text_that_is_no_secret_is_refused() {
        let short = format!("{PREFIX}{}", STANDARD.encode([7; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([7; 65]));
        for bad in [
            "",
            "whsec_",
            "whsec_%%%%",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &short,
            &long,
        ] {
            assert_eq!(WebhookSecret::parse(bad), Err(InvalidWebhookSecret), "{bad:?}");
        }
    }
}
