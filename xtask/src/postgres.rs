//! The programs of PostgreSQL and PgBouncer, which the tests start servers and poolers of their own with.
//!
//! Each test process starts its server itself (`testkit::postgres_server`): that takes less than a second, and nobody
//! has to clear up after a run that was interrupted. So all that is needed before is the programs.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::{Problem, Step};

/// Names the directory of programs to use. The tests say so when it is wrong.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_POSTGRES_BIN";

/// Names the pooler to use.
const POOLER_VARIABLE: &str = "AFTERCOMMIT_TEST_PGBOUNCER";

/// Where Debian and Ubuntu put it.
const DEBIAN_POOLER: &str = "/usr/sbin/pgbouncer";

/// Where Debian and Ubuntu keep one directory for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Installs the packages, but nothing that runs: Debian's would make and start a server and a pooler for the whole machine.
/// The configuration is afterwards as it was, or as the packages bring it.
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
    [ -z "$policy" ] || rm -f "$policy"
}
policy=
had_pooler=
[ ! -e /usr/sbin/pgbouncer ] || had_pooler=yes
trap restore EXIT
mkdir -p "${config%/*}"
[ ! -e "$config" ] || cp -p "$config" "$before"
echo 'create_main_cluster = false' > "$config"
if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update
UCF_FORCE_CONFFOLD=1 apt-get install --yes --no-install-recommends postgresql pgbouncer
# Nor shall it run from the next start of the machine on.
[ -n "$had_pooler" ] || ! command -v systemctl > /dev/null || systemctl disable --quiet pgbouncer || true
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
                "the tests need the programs of PostgreSQL 13 or newer and PgBouncer (nothing that runs): \
                 `sudo apt-get install --no-install-recommends postgresql pgbouncer`",
            ),
        },
        Machine { debian: false, .. } => Plan::Tell(
            "the tests need `initdb` and `postgres` of PostgreSQL 13 or newer, and `pgbouncer`, on the PATH (nothing that \
             runs). Install them (Fedora: `dnf install postgresql-server pgbouncer`, Arch: `pacman -S postgresql \
             pgbouncer`, macOS: `brew install postgresql@18 pgbouncer`), or name the directory of the first two in \
             AFTERCOMMIT_TEST_POSTGRES_BIN and the third in AFTERCOMMIT_TEST_PGBOUNCER",
        ),
    }
}

fn look() -> Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration of the platform"
    )]
    let (named, named_pooler, path) = (
        env::var_os(BIN_VARIABLE),
        env::var_os(POOLER_VARIABLE),
        env::var_os("PATH").unwrap_or_default(),
    );
    let on_path = |program: &str| env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let has_server = named.is_some() || in_versions_of(Path::new(DEBIAN)) || (on_path("initdb") && on_path("postgres"));
    let has_pooler = named_pooler.is_some() || Path::new(DEBIAN_POOLER).is_file() || on_path("pgbouncer");
    Machine {
        installed: has_server && has_pooler,
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
        name: "PostgreSQL and PgBouncer, which the tests need: apt-get install postgresql pgbouncer".to_owned(),
        command,
    };
    if step.run()? && look().installed {
        Ok(())
    } else {
        Err("PostgreSQL or PgBouncer could not be installed; `apt-get install postgresql pgbouncer` says why".into())
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
