//! Looking for a secret where it must not be, in every form it might have taken.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::Token;

/// A secret, and how to recognise it.
#[derive(Debug, Clone)]
pub struct Canary {
    name: String,
    needles: Vec<Needle>,
}

#[derive(Debug, Clone)]
struct Needle {
    form: String,
    text: String,
    /// Whether capital letters make a difference, as in base64.
    is_exact: bool,
}

/// A place where a secret was seen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// Which secret.
    pub canary: String,
    /// In which form.
    pub form: String,
    /// Where.
    pub place: String,
}

impl Canary {
    /// A secret that is recognised by any of these parts of it: parts, because a whole one may be broken by the end of
    /// a line or of a page.
    pub fn new<'a>(name: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            name: name.to_owned(),
            needles: parts.into_iter().flat_map(needles).collect(),
        }
    }

    /// An e-mail address, recognised by what is before its `@`.
    pub fn address(address: &str) -> Self {
        Self::new(address, [address.split('@').next().unwrap().as_bytes()])
    }

    /// A token, recognised by either half of its random digits, and by the bytes they stand for.
    pub fn token(token: &Token) -> Self {
        let (first, second) = token.secret().split_at(11);
        Self::new(
            token.as_str(),
            [first.as_bytes(), second.as_bytes(), &token.secret_bytes()[..]],
        )
    }

    /// Where the secret is in these bytes.
    pub fn look_at(&self, place: &str, bytes: &[u8]) -> Vec<Sighting> {
        let text = latin1(bytes);
        let small = text.to_ascii_lowercase();
        self.needles
            .iter()
            .filter(|needle| if needle.is_exact { &text } else { &small }.contains(&needle.text))
            .map(|needle| Sighting {
                canary: self.name.clone(),
                form: needle.form.clone(),
                place: place.to_owned(),
            })
            .collect()
    }

    /// Where any of the secrets is in the files of a folder, other than those in its folder `except`.
    pub fn look_into(canaries: &[Self], folder: &Path, except: &str) -> Vec<Sighting> {
        let mut seen = Vec::new();
        for path in files(folder) {
            let place = path.strip_prefix(folder).unwrap();
            if !place.starts_with(except) || except.is_empty() {
                // A journal may go while it is looked at.
                let bytes = fs::read(&path).unwrap_or_default();
                seen.extend(
                    canaries
                        .iter()
                        .flat_map(|canary| canary.look_at(&place.display().to_string(), &bytes)),
                );
            }
        }
        seen.sort();
        seen
    }
}

/// One character for each byte, so that text can be searched that is not text.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn needles(part: &[u8]) -> Vec<Needle> {
    let each = |before: &str, after: &str| {
        part.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{before}{byte:02x}{after}");
            text
        })
    };
    let reserved_only = |escape: &str| {
        part.iter().fold(String::new(), |mut text, &byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "{escape}{byte:02x}");
            }
            text
        })
    };
    let wide: Vec<u8> = part.iter().flat_map(|&byte| [byte, 0]).collect();
    let mut needles = vec![
        ("raw", latin1(part)),
        ("hex", each("", "")),
        ("hex with separators", each("", " ").trim_end().to_owned()),
        ("percent", each("%", "")),
        ("percent where needed", reserved_only("%")),
        ("quoted-printable", reserved_only("=")),
        ("escaped for JSON", each("\\u00", "")),
        ("UTF-16", latin1(&wide)),
    ]
    .into_iter()
    .map(|(form, text)| Needle {
        form: form.to_owned(),
        text: text.to_ascii_lowercase(),
        is_exact: false,
    })
    .collect::<Vec<_>>();
    needles.push(Needle {
        form: "list of bytes".to_owned(),
        text: list(part),
        is_exact: true,
    });
    for offset in 0..3 {
        for (alphabet, encoded) in [
            ("base64", base64_inside(&STANDARD_NO_PAD, part, offset)),
            ("base64url", base64_inside(&URL_SAFE_NO_PAD, part, offset)),
        ] {
            needles.push(Needle {
                form: format!("{alphabet}, {offset} bytes in"),
                text: encoded,
                is_exact: true,
            });
        }
    }
    needles
}

/// As `Debug` and JSON show a vector of bytes.
fn list(part: &[u8]) -> String {
    let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
    // Either may put a space after the comma; Debug does.
    numbers.join(", ")
}

/// The characters of a base64 text that depend on `part` alone, when `offset` other bytes are before it.
fn base64_inside(engine: &impl Engine, part: &[u8], offset: usize) -> String {
    let encoded = engine.encode([&[0; 2][..offset], part].concat());
    let from = (offset * 8).div_ceil(6);
    let to = (offset + part.len()) * 8 / 6;
    encoded[from..to].to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let canary = Canary::address("bird@x.example");
        let forms = [
            "to bird@x",
            "To BIRD@X",
            "62697264",
            "62697264".to_ascii_uppercase().as_str(),
            "%62%69%72%64",
            "b\0i\0r\0d\0",
            "\\u0062\\u0069\\u0072\\u0064",
            "[98, 105, 114, 100]",
        ]
        .map(|text| text.as_bytes().to_vec());
        for bytes in forms {
            assert!(!canary.look_at("", &bytes).is_empty(), "{}", latin1(&bytes));
        }
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "1", "12"] {
                let text = format!("{before}bird{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert!(!canary.look_at("", encoded.as_bytes()).is_empty(), "{text}");
                }
            }
        }
        assert_eq!(canary.look_at("", b"a birch, 626972, %62%69, YmlyYw"), []);
    }

    #[test]
    fn every_file_but_those_left_out_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/b", "mail"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["top", "a/b/deep", "mail/letter"] {
            fs::write(folder.path().join(name), "bird@x.example").unwrap();
        }
        let seen = Canary::look_into(&[Canary::address("bird@x.example")], folder.path(), "mail");
        let mut places: Vec<_> = seen.into_iter().map(|sighting| sighting.place).collect();
        places.sort();
        places.dedup();
        assert_eq!(places, ["a/b/deep", "top"]);
    }
}
