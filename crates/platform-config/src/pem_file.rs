//! Files with certificates and private keys in PEM.

use crate::{
    error::ConfigError,
    key::Key,
    private_file::{self, PrivateFile},
};
use std::path::Path;

pub(crate) const PEM_CERTIFICATES: &str = "the path of a file with certificates in PEM";
pub(crate) const PEM_KEY: &str = "the path of a file with a private key in PEM, without a passphrase";

/// What the file of this key holds, if `check` accepts it; otherwise one more of `problems`.
pub(crate) fn text(
    key: &Key,
    path: &Path,
    check: fn(&str) -> Result<(), &'static str>,
    problems: &mut Vec<ConfigError>,
) -> Option<String> {
    let read = private_file::read(path).map_err(|error| error.to_string());
    let checked = read.and_then(|PrivateFile { text, .. }| check(&text).map(|()| text).map_err(str::to_owned));
    checked
        .map_err(|problem| {
            let name = format!("{} ({})", key.name("").variable, path.display());
            problems.push(ConfigError::new(&name, &problem).expected(&key.form.expected()));
        })
        .ok()
}

pub(crate) fn check_certificates(text: &str) -> Result<(), &'static str> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(())
    } else {
        Err("holds no certificate")
    }
}

pub(crate) fn check_key(text: &str) -> Result<(), &'static str> {
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        Err("holds a private key with a passphrase, which nobody is there to enter")
    } else if text.contains("PRIVATE KEY-----") {
        Ok(())
    } else {
        Err("holds no private key")
    }
}

/// The file of a private key, if every user of the machine may read it.
pub(crate) fn open(path: &Path) -> Option<&Path> {
    private_file::read(path)
        .is_ok_and(|file| file.is_world_readable)
        .then_some(path)
}
