//! Where the program that speaks S3 is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::throw_away::trouble::{Outcome, Trouble};

/// Names the program to use, before any other.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_S3_BIN";

/// The one the environment names, else `moto_server` on the `PATH`.
pub(super) fn find() -> Outcome<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which programs a test starts is no configuration of the platform"
    )]
    let (named, path) = (std::env::var_os(BIN_VARIABLE), std::env::var_os("PATH"));
    find_in(named.as_deref(), &path.unwrap_or_default())
}

fn find_in(named: Option<&OsStr>, path: &OsStr) -> Outcome<PathBuf> {
    match named.map(Path::new) {
        Some(named) if named.is_file() => Ok(named.to_path_buf()),
        Some(named) => Err(Trouble::new(format!(
            "{BIN_VARIABLE} is {}, but there is no such program",
            named.display()
        ))),
        None => std::env::split_paths(path)
            .map(|directory| directory.join("moto_server"))
            .find(|program| program.is_file())
            .ok_or_else(|| {
                Trouble::new(format!(
                    "this test needs `moto_server`, and the PATH has none. `cargo xtask test` installs it for itself; else \
                     install it (`pip install 'moto[server]'`), or name the program in {BIN_VARIABLE}"
                ))
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_program_wins_over_the_path_and_must_be_there() {
        let root = tempfile::tempdir().unwrap();
        let on_path = root.path().join("moto_server");
        let own = root.path().join("own");
        for program in [&on_path, &own] {
            std::fs::write(program, "").unwrap();
        }
        let path = root.path().as_os_str();
        assert_eq!(find_in(Some(own.as_os_str()), path).unwrap(), own);
        assert_eq!(find_in(None, path).unwrap(), on_path);
        let missing = root.path().join("missing");
        let refused = find_in(Some(missing.as_os_str()), path).unwrap_err();
        assert!(refused.to_string().contains("no such program"));
        let nowhere = find_in(None, OsStr::new("")).unwrap_err().to_string();
        assert!(nowhere.contains("pip install") && nowhere.contains(BIN_VARIABLE));
    }
}
