//! The programs the tests start servers of their own with.
//!
//! Each test process starts its servers itself (`testkit::postgres_server`, `testkit::rabbitmq_server`), and nobody has to
//! clear up after a run that was interrupted. So all that is needed before is the programs.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::step::{Problem, Step};

/// What the scripts of all programs begin with. What is installed here, nothing shall start: Debian's packages would run
/// servers for the whole machine. A script that changes something else defines `restore_more`.
const PREPARE: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
policy=
restore_more() { :; }
restore() {
    restore_more
    [ -z "$policy" ] || rm -f "$policy"
}
trap restore EXIT
if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update
"#;

/// Programs that come together.
pub(crate) struct Programs {
    /// As people call them.
    pub(crate) name: &'static str,
    /// Debian's packages.
    pub(crate) packages: &'static str,
    /// Installs them on Debian and Ubuntu, but nothing that runs.
    pub(crate) script: &'static str,
    pub(crate) installed: fn(&Machine) -> bool,
    /// What a person has to do on Debian and Ubuntu, and elsewhere.
    pub(crate) on_debian: &'static str,
    pub(crate) elsewhere: &'static str,
}

/// What this machine is like.
pub(crate) struct Machine {
    path: OsString,
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

impl Programs {
    /// Makes sure that the tests find them. `Err` says what to do where they cannot be installed from here.
    pub(crate) fn provide(&self) -> Result<(), Problem> {
        let machine = Machine::look();
        let installed = (self.installed)(&machine);
        match self.plan(installed, machine.has("apt-get"), machine.rights) {
            Plan::Nothing => Ok(()),
            Plan::Install => self.install(false),
            Plan::InstallWithSudo => self.install(true),
            Plan::Tell(what) => Err(what.into()),
        }
    }

    const fn plan(&self, installed: bool, debian: bool, rights: Rights) -> Plan {
        match (installed, debian, rights) {
            (true, ..) => Plan::Nothing,
            (false, true, Rights::Root) => Plan::Install,
            (false, true, Rights::Sudo) => Plan::InstallWithSudo,
            (false, true, Rights::None) => Plan::Tell(self.on_debian),
            (false, false, _) => Plan::Tell(self.elsewhere),
        }
    }

    fn install(&self, with_sudo: bool) -> Result<(), Problem> {
        let mut command = if with_sudo {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "sh"]);
            sudo
        } else {
            Command::new("sh")
        };
        command
            .args(["-c", &format!("{PREPARE}{}", self.script)])
            .stdin(Stdio::null());
        let step = Step {
            name: format!("{}, which the tests need: apt-get install {}", self.name, self.packages),
            command,
        };
        if step.run()? && (self.installed)(&Machine::look()) {
            Ok(())
        } else {
            Err(format!(
                "{} could not be installed; `apt-get install {}` says why",
                self.name, self.packages
            )
            .into())
        }
    }
}

impl Machine {
    fn look() -> Self {
        Self {
            path: named("PATH").unwrap_or_default(),
            rights: if says("id", &["-u"]).is_some_and(|id| id == "0") {
                Rights::Root
            } else if says("sudo", &["-n", "true"]).is_some() {
                Rights::Sudo
            } else {
                Rights::None
            },
        }
    }

    /// Whether this program is on the `PATH`.
    pub(crate) fn has(&self, program: &str) -> bool {
        env::split_paths(&self.path).any(|directory| directory.join(program).is_file())
    }
}

/// What an environment variable names, such as a directory of programs to use.
pub(crate) fn named(variable: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration of the platform"
    )]
    env::var_os(variable)
}

/// What a program prints, if it succeeds.
pub(crate) fn says(program: &str, arguments: &[&str]) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAMS: Programs = Programs {
        name: "Something",
        packages: "something",
        script: "apt-get install something",
        installed: |_| false,
        on_debian: "sudo apt-get install something",
        elsewhere: "brew install something",
    };

    #[test]
    fn what_is_there_is_not_installed_again() {
        for rights in [Rights::Root, Rights::None] {
            assert_eq!(PROGRAMS.plan(true, true, rights), Plan::Nothing);
        }
    }

    #[test]
    fn debian_is_helped_where_no_password_is_asked() {
        assert_eq!(PROGRAMS.plan(false, true, Rights::Root), Plan::Install);
        assert_eq!(PROGRAMS.plan(false, true, Rights::Sudo), Plan::InstallWithSudo);
    }

    #[test]
    fn others_are_told_what_to_do() {
        assert_eq!(
            PROGRAMS.plan(false, true, Rights::None),
            Plan::Tell("sudo apt-get install something")
        );
        assert_eq!(
            PROGRAMS.plan(false, false, Rights::Root),
            Plan::Tell("brew install something")
        );
    }
}
