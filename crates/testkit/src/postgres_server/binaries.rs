//! Where the programs of PostgreSQL are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::throw_away::trouble::{Outcome, Trouble};

/// Names the directory with `initdb` and `postgres` to use, before any other.
pub(super) const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_POSTGRES_BIN";

/// Where Debian and Ubuntu keep one directory for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory with `initdb` and `postgres`: the one the environment names, else the newest of Debian's, else one of
/// the `PATH`.
///
/// Debian's come first because what it puts on the `PATH` are wrappers of its clusters.
pub(super) fn directory() -> Outcome<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which programs a test starts is no configuration of the platform"
    )]
    let (named, path) = (std::env::var_os(BIN_VARIABLE), std::env::var_os("PATH"));
    find(named.as_deref(), Path::new(DEBIAN), path.as_deref())
}

fn find(named: Option<&OsStr>, debian: &Path, path: Option<&OsStr>) -> Outcome<PathBuf> {
    if let Some(named) = named {
        let named = PathBuf::from(named);
        return if is_complete(&named) {
            Ok(named)
        } else {
            Err(Trouble::new(format!(
                "{BIN_VARIABLE} is {}, but there is no `initdb` and `postgres` in it",
                named.display()
            )))
        };
    }
    newest_of(debian)
        .or_else(|| path.and_then(|path| std::env::split_paths(path).find(|directory| is_complete(directory))))
        .ok_or_else(|| {
            Trouble::new(format!(
                "this test needs PostgreSQL 13 or newer, and neither {DEBIAN}/*/bin nor the PATH has its `initdb` and \
                 `postgres`. Install it (Debian, Ubuntu: `apt-get install postgresql`; macOS: `brew install postgresql`), \
                 or name its directory of programs in {BIN_VARIABLE}, or a running server in {}",
                super::external::URL_VARIABLE
            ))
        })
}

fn newest_of(debian: &Path) -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(debian)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| is_complete(bin))
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin)
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(directory: &Path) -> PathBuf {
        std::fs::create_dir_all(directory).unwrap();
        for program in ["initdb", "postgres"] {
            std::fs::write(directory.join(program), "").unwrap();
        }
        directory.to_path_buf()
    }

    #[test]
    fn the_named_directory_wins_and_must_be_complete() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("debian/15/bin"));
        let own = install(&root.path().join("own"));
        let debian = root.path().join("debian");
        assert_eq!(find(Some(own.as_os_str()), &debian, None).unwrap(), own);
        let wrong = find(Some(root.path().as_os_str()), &debian, None).unwrap_err();
        assert!(wrong.to_string().contains(BIN_VARIABLE), "{wrong}");
    }

    #[test]
    fn the_newest_version_of_debian_is_taken_by_number_not_by_spelling() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("9/bin"));
        let newest = install(&root.path().join("15/bin"));
        std::fs::create_dir_all(root.path().join("18/bin")).unwrap();
        assert_eq!(find(None, root.path(), None).unwrap(), newest);
    }

    #[test]
    fn the_path_is_searched_last() {
        let root = tempfile::tempdir().unwrap();
        let bin = install(&root.path().join("bin"));
        let path = std::env::join_paths([root.path().join("none"), bin.clone()]).unwrap();
        assert_eq!(find(None, &root.path().join("none"), Some(&path)).unwrap(), bin);
    }

    #[test]
    fn a_machine_without_postgresql_is_told_what_to_install() {
        let root = tempfile::tempdir().unwrap();
        let missing = find(None, root.path(), None).unwrap_err().to_string();
        assert!(missing.contains("apt-get install postgresql"), "{missing}");
    }
}
