//! `examples/interop`: Python and Node beside the processes of the product, as its README tells to install them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::Workspace;
use crate::programs::{Machine, Programs, says};
use crate::step::{Problem, Step};
use crate::tally::Tally;

/// Names the folder with the installed programs to the tests.
const FOLDER_VARIABLE: &str = "AFTERCOMMIT_E2E_INTEROP";

/// The line of the README right above the commands that install everything.
const MARK: &str = "<!-- install -->";
/// The same for the program on Temporal, which the pass of Temporal runs.
pub(crate) const TEMPORAL_MARK: &str = "<!-- install: temporal -->";

const LANGUAGES: Programs = Programs {
    name: "Python and Node",
    packages: "python3-venv nodejs npm",
    script: INSTALL,
    installed,
    on_debian: "the tests need Python 3.8 and Node 18 or newer: \
                `sudo apt-get install --no-install-recommends python3-venv nodejs npm`",
    elsewhere: "the tests need `python3` 3.8 or newer with `venv`, and `node` 18 or newer with `npm`, on the PATH. Install \
                them (Fedora: `dnf install python3 nodejs-npm`, Arch: `pacman -S python npm`, macOS: `brew install python \
                node`)",
};

/// A Node from elsewhere has its npm with it, and stays.
const INSTALL: &str = r#"
packages=python3-venv
command -v npm > /dev/null || packages="$packages nodejs npm"
apt-get install --yes --no-install-recommends $packages
"#;

/// Runs the tests on a copy of the programs, which is gone afterwards.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Problem> {
    LANGUAGES.provide()?;
    let mut tally = Tally::default();
    let Some(place) = installed_copy(workspace, &["python", "node"], MARK)? else {
        tally.failed += 1;
        return Ok(tally);
    };
    // The selection of the pass `workspace`, so that nothing is compiled again.
    let arguments = [
        "test",
        "--no-fail-fast",
        "--workspace",
        "--all-features",
        "--test",
        "interop",
        "--",
        "--ignored",
    ];
    Step::cargo("Python and Node beside Rust", arguments)
        .env(FOLDER_VARIABLE, place.path())
        .run_tests()
}

/// A copy of these folders, with what the README tells to install under the line `mark`; gone with the value. `None`: it
/// could not be installed, and said why.
pub(crate) fn installed_copy(
    workspace: &Workspace,
    folders: &[&str],
    mark: &str,
) -> Result<Option<tempfile::TempDir>, Problem> {
    let original = workspace.root().join("examples/interop");
    let place = tempfile::tempdir()?;
    for folder in folders {
        copy(&original.join(folder), &place.path().join(folder))?;
    }
    let readme = fs::read_to_string(original.join("README.md"))?;
    let commands = install_commands(&readme, mark)
        .ok_or_else(|| format!("examples/interop/README.md has no fenced block right under a line `{mark}`"))?;
    Ok(install(&commands, place.path()).run()?.then_some(place))
}

fn installed(machine: &Machine) -> bool {
    let has_python = says("python3", &["-c", "import ensurepip, venv"]).is_some();
    let is_new_enough = "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)";
    has_python && machine.has("npm") && says("node", &["-e", is_new_enough]).is_some()
}

/// The files of one language, without what was installed beside them.
fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// What the README tells to paste.
fn install_commands(readme: &str, mark: &str) -> Option<String> {
    let (_, below) = readme.split_once(mark)?;
    let (commands, _) = below.strip_prefix("\n```sh\n")?.split_once("\n```")?;
    Some(commands.to_owned())
}

fn install(commands: &str, place: &Path) -> Step {
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", commands])
        .current_dir(place)
        .stdin(Stdio::null());
    Step {
        name: "examples/interop: what its README installs".to_owned(),
        command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_how_to_install_in_a_block_that_ci_can_run() {
        let readme = include_str!("../../examples/interop/README.md");
        let commands = install_commands(readme, MARK).expect("a block");
        assert!(
            commands.contains("python3 -m venv") && commands.contains("npm"),
            "{commands}"
        );
        let commands = install_commands(readme, TEMPORAL_MARK).expect("a block");
        assert!(commands.contains("python3 -m venv temporal/"), "{commands}");
    }
}
