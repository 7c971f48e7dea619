//! The commands that guides tell to verify a step with: `Verify:` and a command in backticks.

use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::Package;

use crate::kit::Workspace;
use crate::step::{Problem, Step};
use crate::tally::Tally;
use crate::test_program::{ALL, Run, Target, TestProgram};

/// What a line of a guide begins with that tells such a command.
const MARK: &str = "Verify: `";

/// Runs each command once, in the order of the guides. One that runs tests must run at least one.
///
/// Those are the tests the command selects, of the programs that were built with all features: to build each package with
/// its own again would take minutes. That packages, features and tests are called so, and that the tests have the features they
/// need, is looked at.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Problem> {
    let programs = TestProgram::build(&ALL)?;
    let mut total = Tally::default();
    for command in commands(&workspace.root().join("docs/guides"))? {
        total = total.and(match Tests::read(&command, workspace) {
            Ok(Some(tests)) => tests.run(&command, &programs)?,
            Ok(None) => other(command)?,
            Err(problem) => Tally::failure(format!("`{command}` of a guide: {problem}")),
        });
    }
    Ok(total)
}

/// A command that runs no test.
fn other(command: String) -> Result<Tally, Problem> {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &command]);
    let step = Step {
        name: command,
        command: shell,
    };
    let succeeded = u64::from(step.run()?);
    Ok(Tally {
        passed: succeeded,
        failed: 1 - succeeded,
        ..Tally::default()
    })
}

/// `cargo test -p PACKAGE [--features NAMES] [--lib | --test NAME] [PART OF A NAME]`.
#[derive(Debug, PartialEq, Eq)]
struct Tests {
    package: String,
    target: Option<Target>,
    filter: Option<String>,
}

impl Tests {
    /// `None` of another command. `Err` of one that cargo would refuse, or that is not understood here.
    fn read(command: &str, workspace: &Workspace) -> Result<Option<Self>, String> {
        let Some(arguments) = command.strip_prefix("cargo test ") else {
            return Ok(None);
        };
        let (mut package, mut features) = (None, Vec::new());
        let (mut target, mut filter) = (None, None);
        let mut words = arguments.split(' ');
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word {
                "-p" => package = Some(value()?),
                "--features" => features.extend(value()?.split(',')),
                "--lib" => target = Some(Target::Library),
                "--test" => target = Some(Target::Test(value()?.to_owned())),
                word if word.starts_with('-') || filter.is_some() => {
                    return Err(format!("{word} is not understood here"));
                }
                word => filter = Some(word.to_owned()),
            }
        }
        let name = package.ok_or("it names no package")?;
        let package = workspace
            .package(name)
            .ok_or_else(|| format!("there is no package {name}"))?;
        is_there(package, &features, target.as_ref(), filter.as_deref())?;
        Ok(Some(Self {
            package: name.to_owned(),
            target,
            filter,
        }))
    }

    fn run(&self, command: &str, programs: &[TestProgram]) -> Result<Tally, Problem> {
        let mut runs: Vec<Run> = programs
            .iter()
            .filter(|program| self.selects(program))
            .cloned()
            .map(Run::from)
            .collect();
        for run in &mut runs {
            run.arguments.extend(self.filter.clone());
            run.remark = format!(": `{command}`");
        }
        let mut tally = Run::all(&runs)?.into_iter().fold(Tally::default(), Tally::and);
        if tally.failed == 0 && tally.passed == 0 {
            tally = Tally::failure(format!("`{command}` runs no test"));
        }
        Ok(tally)
    }

    fn selects(&self, program: &TestProgram) -> bool {
        program.crate_name == self.package && self.target.as_ref().is_none_or(|target| *target == program.target)
    }
}

/// Whether the package has these features and, with them, what is selected; else what is missing.
fn is_there(package: &Package, features: &[&str], target: Option<&Target>, filter: Option<&str>) -> Result<(), String> {
    if let Some(unknown) = features.iter().find(|name| !package.features.contains_key(**name)) {
        return Err(format!("{} has no feature {unknown}", package.name));
    }
    // The default features as they are written: none of ours turns on a chain of them.
    let defaults = package.features.get("default").map(Vec::as_slice).unwrap_or_default();
    let is_on = |name: &str| features.contains(&name) || defaults.iter().any(|default| default == name);
    // A module has the name of the feature that it is compiled with.
    let module = filter.and_then(|filter| filter.split("::").next()).unwrap_or_default();
    if package.features.contains_key(module) && !is_on(module) {
        return Err(format!("{module} needs the feature of this name"));
    }
    let Some(Target::Test(name)) = target else {
        return Ok(());
    };
    let test = package
        .targets
        .iter()
        .find(|target| target.is_test() && target.name == *name);
    let test = test.ok_or_else(|| format!("{} has no test {name}", package.name))?;
    match test.required_features.iter().find(|needed| !is_on(needed)) {
        Some(missing) => Err(format!("{name} needs the feature {missing}")),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: &str) -> Result<Option<Tests>, String> {
        let workspace = Workspace::load().expect("cargo knows this workspace");
        Tests::read(command, &workspace)
    }

    #[test]
    fn a_command_that_runs_tests_says_which() {
        let tests = Tests {
            package: "xtask".to_owned(),
            target: None,
            filter: Some("tally".to_owned()),
        };
        assert_eq!(read("cargo test -p xtask tally"), Ok(Some(tests)));
        assert_eq!(read("cargo check -p xtask"), Ok(None));
    }

    #[test]
    fn a_command_that_cargo_would_refuse_is_refused_here() {
        for (command, why) in [
            ("cargo test -p nobody", "there is no package nobody"),
            ("cargo test -p xtask --features none", "xtask has no feature none"),
            ("cargo test -p xtask --test none", "xtask has no test none"),
            ("cargo test tally", "it names no package"),
            (
                "cargo test -p aftercommit-domain --test reference",
                "reference needs the feature reference",
            ),
            (
                "cargo test -p aftercommit-domain --lib reference::routes",
                "reference needs the feature of this name",
            ),
            ("cargo test -p", "-p wants a value"),
            ("cargo test -p xtask --jobs 1", "--jobs is not understood here"),
            ("cargo test -p xtask one two", "two is not understood here"),
        ] {
            assert_eq!(read(command).expect_err(command), why);
        }
    }
}
