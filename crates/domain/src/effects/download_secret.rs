//! Links to objects that a storage without a server of its own signs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::effects::ObjectKey;
use crate::time::Timestamp;

/// The fewest bytes of a secret.
const FEWEST_BYTES: usize = 32;

/// The secret that signs download links: whoever holds it can make a link to any object. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DownloadSecret(Vec<u8>);

/// The bytes are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret of download links has at least {FEWEST_BYTES} bytes")]
pub struct InvalidDownloadSecret;

/// A link was not made here, was changed, or is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedDownload {
    /// The signature is not that of this key and end.
    #[error("the download link is not one of this application")]
    Forged,
    /// It was good, and is no more.
    #[error("the download link is over")]
    Expired,
}

impl DownloadSecret {
    /// Takes a secret.
    ///
    /// # Errors
    /// [`InvalidDownloadSecret`] when it has fewer than 32 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidDownloadSecret> {
        if bytes.len() < FEWEST_BYTES {
            return Err(InvalidDownloadSecret);
        }
        Ok(Self(bytes))
    }

    /// The signature of a link to `key` that ends `expires_at`, a number of seconds since 1970: 43 characters that need
    /// no escaping in a URL.
    pub fn sign(&self, key: &ObjectKey, expires_at: i64) -> String {
        // HMAC takes keys of any length. A signature nobody accepts would be safe all the same.
        self.mac(key, expires_at)
            .map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
            .unwrap_or_default()
    }

    /// Checks a link, comparing in constant time. The signature is looked at first, so that a forged link is never
    /// told apart by its end.
    ///
    /// # Errors
    /// [`RefusedDownload`].
    pub fn check(
        &self,
        key: &ObjectKey,
        expires_at: i64,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), RefusedDownload> {
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| RefusedDownload::Forged)?;
        let mac = self.mac(key, expires_at).ok_or(RefusedDownload::Forged)?;
        mac.verify_slice(&signature).map_err(|_| RefusedDownload::Forged)?;
        if now.timestamp() >= expires_at {
            return Err(RefusedDownload::Expired);
        }
        Ok(())
    }

    fn mac(&self, key: &ObjectKey, expires_at: i64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        // A key has no line break, so no two links are signed alike.
        for part in ["aftercommit-download-1\n", key.as_str(), "\n", &expires_at.to_string()] {
            mac.update(part.as_bytes());
        }
        Some(mac)
    }
}

impl fmt::Debug for DownloadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹secret›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Tenant;
    use crate::time::{after, seconds};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(&Tenant::project(1_i64, 2_i64), "exports", name).unwrap()
    }

    #[test]
    fn a_link_is_good_for_its_object_until_its_end_and_for_nothing_else() {
        let secret = DownloadSecret::new(vec![7; 32]).unwrap();
        let signature = secret.sign(&key("1.csv"), 100);
        let at = |now| after(Timestamp::UNIX_EPOCH, seconds(now));
        assert_eq!(secret.check(&key("1.csv"), 100, &signature, at(99)), Ok(()));
        assert_eq!(
            secret.check(&key("1.csv"), 100, &signature, at(100)),
            Err(RefusedDownload::Expired)
        );
        let other = DownloadSecret::new(vec![8; 32]).unwrap();
        for (secret, key, expires_at, signature) in [
            (&secret, key("2.csv"), 100, signature.as_str()),
            (&secret, key("1.csv"), 101, &signature),
            (&secret, key("1.csv"), 100, ""),
            (&secret, key("1.csv"), 100, &signature[..42]),
            (&other, key("1.csv"), 100, &signature),
        ] {
            // Also long after its end a forged link is only forged.
            for now in [at(0), at(1_000)] {
                assert_eq!(
                    secret.check(&key, expires_at, signature, now),
                    Err(RefusedDownload::Forged)
                );
            }
        }
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert_eq!(DownloadSecret::new(vec![1; 31]), Err(InvalidDownloadSecret));
        assert_eq!(format!("{:?}", DownloadSecret::new(vec![1; 32]).unwrap()), "‹secret›");
    }
}
