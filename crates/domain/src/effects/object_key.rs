//! Where an object lies: under its tenant, by construction.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::contract::{OrganizationId, ProjectId, Tenant};

/// The longest collection, in bytes.
const MAX_COLLECTION: usize = 40;
/// The longest name, in bytes.
const MAX_NAME: usize = 80;
/// What stands for an organization or a project that a tenant has not: no id is written so.
const NONE: &str = "_";

/// The key of an object: `<organization>/<project>/<collection>/<name>`, at most 512 bytes. There is no key without a
/// tenant, and no object lies below another.
///
/// Ids of tenants are opaque text; in a key everything but `a`–`z`, `0`–`9` and `-` is written `_xx`, so that no id
/// climbs out of its folder and no two meet on a file system that ignores case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    text: String,
    name_at: usize,
}

/// The text is no key of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an object's key is organization/project/collection/name; the collection has 1 to 40 and the name 1 to 80 of a–z, \
     0–9, `-`, `_` and, not first, `.`"
)]
pub struct InvalidObjectKey;

impl ObjectKey {
    /// The key of `name` in a collection of the tenant's, such as `exports` and `<id>.csv`.
    pub fn new(tenant: &Tenant, collection: &str, name: &str) -> Result<Self, InvalidObjectKey> {
        if !is_segment(collection, MAX_COLLECTION) || !is_segment(name, MAX_NAME) {
            return Err(InvalidObjectKey);
        }
        let organization = tenant
            .organization_id()
            .map_or_else(|| NONE.into(), |id| encoded(id.as_str()));
        let project = tenant
            .project_id()
            .map_or_else(|| NONE.into(), |id| encoded(id.as_str()));
        let folder = format!("{organization}/{project}/{collection}/");
        Ok(Self {
            name_at: folder.len(),
            text: folder + name,
        })
    }

    /// The key as text; [`FromStr`] reads it back.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The last part: the name a downloaded file gets. Needs no quoting in a header.
    pub fn name(&self) -> &str {
        &self.text[self.name_at..]
    }

    /// What kind of file it is, by the end of its name, as a header says it.
    pub fn content_type(&self) -> &'static str {
        match self.name().rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => "text/csv; charset=utf-8",
            Some("ndjson") => "application/x-ndjson",
            Some("json") => "application/json",
            _ => "application/octet-stream",
        }
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidObjectKey;

    fn from_str(text: &str) -> Result<Self, InvalidObjectKey> {
        let mut parts = text.split('/');
        let (Some(organization), Some(project), Some(collection), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidObjectKey);
        };
        let organization = decoded(organization)?
            .map(OrganizationId::new)
            .transpose()
            .map_err(|_| InvalidObjectKey)?;
        let project = decoded(project)?
            .map(ProjectId::new)
            .transpose()
            .map_err(|_| InvalidObjectKey)?;
        let tenant = Tenant::from_parts(organization, project).ok_or(InvalidObjectKey)?;
        let key = Self::new(&tenant, collection, name)?;
        // One object has one key: what would be written otherwise is refused.
        if key.text == text {
            Ok(key)
        } else {
            Err(InvalidObjectKey)
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_segment(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len())
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

fn encoded(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-') {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "_{byte:02x}");
        }
    }
    text
}

fn decoded(segment: &str) -> Result<Option<String>, InvalidObjectKey> {
    if segment == NONE {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'_' {
            let (digits, after) = after.split_at_checked(2).ok_or(InvalidObjectKey)?;
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidObjectKey)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| InvalidObjectKey)?);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map(Some).map_err(|_| InvalidObjectKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_under_its_tenant_whatever_the_ids_are() {
        let hostile = Tenant::project(
            OrganizationId::new("../Other").unwrap(),
            ProjectId::new("a_b/\u{fc}").unwrap(),
        );
        let key = ObjectKey::new(&hostile, "exports", "1.csv").unwrap();
        assert_eq!(key.as_str(), "_2e_2e_2f_4fther/a_5fb_2f_c3_bc/exports/1.csv");
        assert_eq!(key.name(), "1.csv");
        assert_eq!(key.as_str().parse(), Ok(key));
        for (tenant, text) in [
            (Tenant::organization(1_i64), "1/_/exports/1.csv"),
            (Tenant::System, "_/_/exports/1.csv"),
        ] {
            let key = ObjectKey::new(&tenant, "exports", "1.csv").unwrap();
            assert_eq!(key.as_str(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn the_longest_key_fits_where_keys_are_kept() {
        let id = "\u{fc}".repeat(32);
        let tenant = Tenant::project(OrganizationId::new(&id).unwrap(), ProjectId::new(&id).unwrap());
        let key = ObjectKey::new(&tenant, &"c".repeat(MAX_COLLECTION), &"n".repeat(MAX_NAME)).unwrap();
        assert!(
            crate::contract::StorageKey::new(key.as_str()).is_ok(),
            "{}",
            key.as_str().len()
        );
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        let tenant = Tenant::project(1_i64, 2_i64);
        let long = "n".repeat(MAX_NAME + 1);
        for name in ["", ".", "..", ".hidden", "a/b", "A.csv", "a b", "a\"b", "\u{fc}", &long] {
            assert_eq!(
                ObjectKey::new(&tenant, "exports", name),
                Err(InvalidObjectKey),
                "{name:?}"
            );
        }
        for text in [
            "",
            "1/2/exports",
            "1/2/exports/1.csv/x",
            "_/2/exports/1.csv",
            "1//exports/1.csv",
            "../2/exports/1.csv",
            "_61/2/exports/1.csv",
            "_2E/2/exports/1.csv",
            "_2/2/exports/1.csv",
            "_ff/2/exports/1.csv",
            "_+1/2/exports/1.csv",
            "1/2/exports/\u{fc}",
            "_\u{fc}/2/exports/1.csv",
        ] {
            assert_eq!(text.parse::<ObjectKey>(), Err(InvalidObjectKey), "{text:?}");
        }
    }
}
