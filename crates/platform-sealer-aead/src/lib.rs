//! The Sealer port with XChaCha20-Poly1305 and key rotation
