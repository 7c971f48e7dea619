//! The commands that guides tell to verify a step with: `Verify:` and a command in backticks.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::kit::Workspace;
use crate::step::{Problem, Step};
use crate::tally::Tally;

/// What a line of a guide begins with that tells such a command.
const MARK: &str = "Verify: `";

/// Runs each command once, in the order of the guides. One that runs tests must run at least one.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Problem> {
    let mut total = Tally::default();
    for command in commands(&workspace.root().join("docs/guides"))? {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &command]);
        let step = Step {
            name: command.clone(),
            command: shell,
        };
        if command.starts_with("cargo test") {
            let mut tally = step.run_tests()?;
            if tally.failed == 0 && tally.passed == 0 {
                println!("error: `{command}` runs no test");
                tally.failed += 1;
            }
            total = total.and(tally);
        } else if step.run()? {
            total.passed += 1;
        } else {
            total.failed += 1;
        }
    }
    Ok(total)
}

/// The commands of all guides, each once.
fn commands(folder: &Path) -> Result<Vec<String>, Problem> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    let mut found: Vec<String> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        for line in text.lines().filter_map(|line| line.trim().strip_prefix(MARK)) {
            let Some((command, _)) = line.split_once('`') else {
                return Err(format!("{}: {line:?} has no end", file.display()).into());
            };
            if !found.iter().any(|known| known == command) {
                found.push(command.to_owned());
            }
        }
    }
    Ok(found)
}
