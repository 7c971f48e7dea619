//! The programs of PostgreSQL, which the tests start servers of their own with.
//!
//! Each test process starts its server itself (`testkit::postgres_server`): that takes less than a second, and nobody
//! has to clear up after a run that was interrupted. So all that is needed before is the programs.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::{Problem, Step};

/// Names the directory of programs to use. The tests say so when it is wrong.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_POSTGRES_BIN";

/// Where Debian and Ubuntu keep one directory for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Installs the packages, but no server that runs: Debian's would make and start one for the whole machine. Its
/// configuration is afterwards as it was, or as the package brings it.
const INSTALL: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
config=/etc/postgresql-common/createcluster.conf
before=$(mktemp)
restore() {
    if [ -s "$before" ]; then cp -p "$before" "$config"
    # The package has put its own beside ours.
    elif [ -e "$config.ucf-dist" ]; then mv -f "$config.ucf-dist" "$config"
    else rm -f "$config"
    fi
    rm -f "$before"
}
trap restore EXIT
mkdir -p "${config%/*}"
[ ! -e "$config" ] || cp -p "$config" "$before"
echo 'create_main_cluster = false' > "$config"
apt-get update
UCF_FORCE_CONFFOLD=1 apt-get install --yes --no-install-recommends postgresql
"#;

/// What this machine is like.
struct Machine {
    installed: bool,
    /// It has `apt-get`.
    debian: bool,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    /// `sudo` asks for no password.
    Sudo,
    None,
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Install,
    InstallWithSudo,
    /// A person has to do it.
    Tell(&'static str),
}

/// Makes sure that the tests find PostgreSQL. `Err` says what to do where it cannot be installed from here.
pub(crate) fn provide() -> Result<(), Problem> {
    match plan(&look()) {
        Plan::Nothing => Ok(()),
        Plan::Install => install(false),
        Plan::InstallWithSudo => install(true),
        Plan::Tell(what) => Err(what.into()),
    }
}

const fn plan(machine: &Machine) -> Plan {
    match machine {
        Machine { installed: true, .. } => Plan::Nothing,
        Machine {
            debian: true, rights, ..
        } => match rights {
            Rights::Root => Plan::Install,
            Rights::Sudo => Plan::InstallWithSudo,
            Rights::None => Plan::Tell(
                "the tests need the programs of PostgreSQL 13 or newer (no running server): \
                 `sudo apt-get install --no-install-recommends postgresql`",
            ),
        },
        Machine { debian: false, .. } => Plan::Tell(
            "the tests need `initdb` and `postgres` of PostgreSQL 13 or newer on the PATH (no running server). Install \
             them (Fedora: `dnf install postgresql-server`, Arch: `pacman -S postgresql`, macOS: `brew install \
             postgresql@18`), or name their directory in AFTERCOMMIT_TEST_POSTGRES_BIN",
        ),
    }
}

fn look() -> Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration of the platform"
    )]
    let (named, path) = (env::var_os(BIN_VARIABLE), env::var_os("PATH").unwrap_or_default());
    let on_path = |program: &str| env::split_paths(&path).any(|directory| directory.join(program).is_file());
    Machine {
        installed: named.is_some() || in_versions_of(Path::new(DEBIAN)) || (on_path("initdb") && on_path("postgres")),
        debian: on_path("apt-get"),
        rights: if says("id", &["-u"]).is_some_and(|id| id == "0") {
            Rights::Root
        } else if says("sudo", &["-n", "true"]).is_some() {
            Rights::Sudo
        } else {
            Rights::None
        },
    }
}

fn in_versions_of(debian: &Path) -> bool {
    let Ok(versions) = std::fs::read_dir(debian) else {
        return false;
    };
    versions.flatten().any(|version| {
        let bin = version.path().join("bin");
        bin.join("initdb").is_file() && bin.join("postgres").is_file()
    })
}

/// What a program prints, if it succeeds.
fn says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn install(with_sudo: bool) -> Result<(), Problem> {
    let mut command = if with_sudo {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        Command::new("sh")
    };
    command.args(["-c", INSTALL]).stdin(Stdio::null());
    let step = Step {
        name: "PostgreSQL, which the tests need: apt-get install postgresql".to_owned(),
        command,
    };
    if step.run()? && in_versions_of(Path::new(DEBIAN)) {
        Ok(())
    } else {
        Err("PostgreSQL could not be installed; `apt-get install postgresql` says why".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(debian: bool, rights: Rights) -> Machine {
        Machine {
            installed: false,
            debian,
            rights,
        }
    }

    #[test]
    fn what_is_there_is_not_installed_again() {
        for rights in [Rights::Root, Rights::None] {
            let machine = Machine {
                installed: true,
                ..machine(true, rights)
            };
            assert_eq!(plan(&machine), Plan::Nothing);
        }
    }

    #[test]
    fn debian_is_helped_where_no_password_is_asked() {
        assert_eq!(plan(&machine(true, Rights::Root)), Plan::Install);
        assert_eq!(plan(&machine(true, Rights::Sudo)), Plan::InstallWithSudo);
    }

    #[test]
    fn others_are_told_what_to_do() {
        for (machine, what) in [
            (machine(true, Rights::None), "sudo apt-get install"),
            (machine(false, Rights::Root), "brew install"),
        ] {
            assert!(matches!(plan(&machine), Plan::Tell(told) if told.contains(what)));
        }
    }

    #[test]
    fn a_version_counts_when_both_programs_are_there() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("15/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("initdb"), "").unwrap();
        assert!(!in_versions_of(root.path()));
        std::fs::write(bin.join("postgres"), "").unwrap();
        assert!(in_versions_of(root.path()));
    }
}
