//! What speaks S3, for the tests of the storage of objects.

use std::path::{Path, PathBuf};

use crate::kit::Workspace;
use crate::python_program::PythonProgram;
use crate::step::Problem;
use crate::test_program::Run;

/// The package whose tests start a server.
const STORAGE: &str = "crates/platform-storage-object ";

const SERVER: PythonProgram = PythonProgram {
    name: "S3",
    packages: &["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"],
    folder: "s3-server",
    program: "moto_server",
    variable: "AFTERCOMMIT_TEST_S3_BIN",
};

/// The program, installed where there is none yet.
pub(crate) fn provide(workspace: &Workspace) -> Result<PathBuf, Problem> {
    SERVER.provide(workspace.target())
}

/// Tells the runs that start servers which program to take.
pub(crate) fn name_to(runs: &mut [Run], program: &Path) {
    for run in runs.iter_mut().filter(|run| run.program.name.starts_with(STORAGE)) {
        run.environment.push((SERVER.variable, program.to_owned()));
    }
}
