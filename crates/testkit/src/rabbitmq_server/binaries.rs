//! Where the programs of RabbitMQ are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::throw_away::trouble::{Outcome, Trouble};

/// Names the directory with `rabbitmq-server` and `rabbitmqctl` to use, before any other.
pub(super) const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_RABBITMQ_BIN";

/// Where Debian and Ubuntu keep them. What they put on the `PATH` are wrappers that insist on a user.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// What is started.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) server: PathBuf,
    pub(super) ctl: PathBuf,
    /// The name service of Erlang, which nodes find each other by.
    pub(super) epmd: PathBuf,
}

/// Those in the directory the environment names, else Debian's, else those on the `PATH`.
pub(super) fn find() -> Outcome<Binaries> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which programs a test starts is no configuration of the platform"
    )]
    let (named, path) = (std::env::var_os(BIN_VARIABLE), std::env::var_os("PATH"));
    find_in(named.as_deref(), Path::new(DEBIAN), &path.unwrap_or_default())
}

fn find_in(named: Option<&OsStr>, debian: &Path, path: &OsStr) -> Outcome<Binaries> {
    let on_path = |has: &dyn Fn(&Path) -> bool| std::env::split_paths(path).find(|directory| has(directory));
    let directory = match named.map(Path::new) {
        Some(named) if is_complete(named) => named.to_path_buf(),
        Some(named) => {
            return Err(Trouble::new(format!(
                "{BIN_VARIABLE} is {}, but there is no `rabbitmq-server` and `rabbitmqctl` in it",
                named.display()
            )));
        }
        None => Some(debian.to_path_buf())
            .filter(|directory| is_complete(directory))
            .or_else(|| on_path(&is_complete))
            .ok_or_else(|| {
                Trouble::new(format!(
                    "this test needs RabbitMQ 3.10 or newer, and neither {DEBIAN} nor the PATH has its `rabbitmq-server` \
                     and `rabbitmqctl`. Install it (Debian, Ubuntu: `apt-get install rabbitmq-server`, and nothing of it \
                     needs to run; macOS: `brew install rabbitmq`), or name its directory of programs in {BIN_VARIABLE}, \
                     or a running server in {}",
                    super::external::URL_VARIABLE
                ))
            })?,
    };
    let epmd = on_path(&|directory| directory.join("epmd").is_file()).ok_or_else(|| {
        Trouble::new(
            "this test needs Erlang, and its `epmd` is not on the PATH. Install it (Debian, Ubuntu: `apt-get install \
             rabbitmq-server` brings it; macOS: `brew install erlang`)",
        )
    })?;
    Ok(Binaries {
        server: directory.join("rabbitmq-server"),
        ctl: directory.join("rabbitmqctl"),
        epmd: epmd.join("epmd"),
    })
}

fn is_complete(directory: &Path) -> bool {
    ["rabbitmq-server", "rabbitmqctl"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(directory: &Path, programs: &[&str]) -> PathBuf {
        std::fs::create_dir_all(directory).unwrap();
        for program in programs {
            std::fs::write(directory.join(program), "").unwrap();
        }
        directory.to_path_buf()
    }

    const SERVER: [&str; 2] = ["rabbitmq-server", "rabbitmqctl"];

    #[test]
    fn the_named_directory_wins_over_debian_and_debian_over_the_path() {
        let root = tempfile::tempdir().unwrap();
        let debian = install(&root.path().join("debian"), &SERVER);
        let own = install(&root.path().join("own"), &SERVER);
        let path = install(&root.path().join("path"), &[SERVER[0], SERVER[1], "epmd"]);
        let server = |named: Option<&Path>, debian: &Path| {
            let found = find_in(named.map(Path::as_os_str), debian, path.as_os_str()).unwrap();
            assert_eq!(found.epmd, path.join("epmd"));
            found.server
        };
        assert_eq!(server(Some(&own), &debian), own.join("rabbitmq-server"));
        assert_eq!(server(None, &debian), debian.join("rabbitmq-server"));
        assert_eq!(server(None, &root.path().join("none")), path.join("rabbitmq-server"));
    }

    #[test]
    fn a_named_directory_must_be_complete() {
        let root = tempfile::tempdir().unwrap();
        let incomplete = install(root.path(), &["rabbitmqctl"]);
        let refused = find_in(Some(incomplete.as_os_str()), Path::new("/none"), OsStr::new("")).unwrap_err();
        assert!(refused.to_string().contains(BIN_VARIABLE), "{refused}");
    }

    #[test]
    fn a_machine_without_rabbitmq_is_told_what_to_install() {
        let missing = find_in(None, Path::new("/none"), OsStr::new("")).unwrap_err();
        assert!(
            missing.to_string().contains("apt-get install rabbitmq-server"),
            "{missing}"
        );
    }
}
