//! The [`Sealer`](aftercommit_domain::contract::Sealer) port with XChaCha20-Poly1305 and key rotation.
//!
//! [`AeadSealer`] seals with the first of its [`SealingKeys`] and opens with any of them. To rotate, put a new key in
//! front and keep the old ones as long as messages sealed with them can still arrive or be redriven.

#![warn(missing_docs)]

mod aead_sealer;
mod key_file;
mod sealing_keys;

pub use aead_sealer::AeadSealer;
pub use key_file::KeyFileError;
pub use sealing_keys::{InvalidSealingKeys, KEY_LENGTH, MAX_KEYS, SealingKeys};

#[cfg(test)]
mod test_randomness;
