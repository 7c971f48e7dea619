//! Servers for tests that come as Python packages, which need no rights and change nothing on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::{Machine, Programs, named, says};
use crate::step::{Problem, Step};

/// A program of some packages.
pub(crate) struct PythonProgram {
    /// As people call it.
    pub(crate) name: &'static str,
    /// What is installed, with versions.
    pub(crate) packages: &'static [&'static str],
    /// Where it is installed, below the folder of what was built.
    pub(crate) folder: &'static str,
    /// What it is called there.
    pub(crate) program: &'static str,
    /// Names the program to the tests, and another one to us.
    pub(crate) variable: &'static str,
}

/// What such servers run on, and what else is written in Python.
pub(crate) const PYTHON: Programs = Programs {
    name: "Python",
    packages: "python3-venv",
    script: "apt-get install --yes --no-install-recommends python3-venv",
    installed: has_venv,
    on_debian: "the tests need Python 3.10 or newer: `sudo apt-get install --no-install-recommends python3-venv`; or name the \
                programs of servers in AFTERCOMMIT_TEST_TEMPORAL_BIN and AFTERCOMMIT_TEST_S3_BIN",
    elsewhere: "the tests need `python3` 3.10 or newer with `venv` on the PATH; or name the programs of servers in \
                AFTERCOMMIT_TEST_TEMPORAL_BIN and AFTERCOMMIT_TEST_S3_BIN",
};

impl PythonProgram {
    /// The program, installed where there is none yet.
    pub(crate) fn provide(&self, target: &Path) -> Result<PathBuf, Problem> {
        if let Some(named) = named(self.variable) {
            return Ok(PathBuf::from(named));
        }
        fs::create_dir_all(target)?;
        let folder = target.canonicalize()?.join(self.folder);
        let program = folder.join("bin").join(self.program);
        if is_there(&program) {
            return Ok(program);
        }
        PYTHON.provide()?;
        if self.install(&folder).run()? && is_there(&program) {
            return Ok(program);
        }
        Err(format!(
            "{} could not be installed into {}",
            self.packages.join(", "),
            folder.display()
        )
        .into())
    }

    fn install(&self, folder: &Path) -> Step {
        let mut command = Command::new("sh");
        command
            .args([
                "-e",
                "-c",
                r#"python3 -m venv "$1"; pip="$1/bin/pip"; shift; "$pip" install --quiet --disable-pip-version-check "$@""#,
            ])
            .arg("sh")
            .arg(folder)
            .args(self.packages)
            .stdin(Stdio::null());
        Step {
            name: format!("{} for the tests: pip install {}", self.name, self.packages.join(" ")),
            command,
        }
    }
}

/// Whether it runs, also where its interpreter was taken away.
fn is_there(program: &Path) -> bool {
    program
        .to_str()
        .is_some_and(|program| says(program, &["--help"]).is_some())
}

fn has_venv(_machine: &Machine) -> bool {
    let is_new_enough = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    says("python3", &["-c", is_new_enough]).is_some()
}
