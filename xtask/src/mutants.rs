//! `cargo xtask mutants`: takes one guard out after the other, and sees that a test notices.
//!
//! A test that cannot fail proves nothing. Each entry of `xtask/mutants.toml` breaks one promise in one place; the test it
//! names must fail then, and by its name. Works in a copy of the last commit and changes nothing here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;

use crate::postgres;
use crate::rabbitmq;
use crate::step::{Problem, cargo, heading};

/// Compiled in: the changes belong to the sources they fit.
const MUTANTS: &str = include_str!("../mutants.toml");
/// Fewer than this prove too little.
const LEAST: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutants {
    mutant: Vec<Mutant>,
}

/// One guard, and what takes it out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    /// The promise that is broken.
    guard: String,
    file: PathBuf,
    /// There exactly once.
    find: String,
    replace: String,
    /// The arguments of `cargo test`; the last one is the test that must fail.
    test: Vec<String>,
}

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The named test failed.
    Found,
    /// It passed.
    Survived,
    /// It did not run: the change does not compile, or there is no such test.
    Invalid,
}

/// Whether every change fits the sources as they are.
pub(crate) fn fit() -> Result<bool, Problem> {
    heading("the mutants fit");
    let root = root()?;
    let mutants = load()?;
    let mut all_fit = mutants.len() >= LEAST;
    for mutant in &mutants {
        if let Err(problem) = mutant.changed(&root) {
            println!("error: xtask/mutants.toml: {}: {problem}", mutant.name);
            all_fit = false;
        }
    }
    println!("   {} mutants, at least {LEAST}", mutants.len());
    Ok(all_fit)
}

/// Runs these, or all. `Ok(true)`: each was found by its test.
pub(crate) fn run(names: &[String], record: Option<&Path>) -> Result<bool, Problem> {
    postgres::provide()?;
    rabbitmq::provide()?;
    let mut mutants = load()?;
    if !names.is_empty() {
        mutants.retain(|mutant| names.contains(&mutant.name));
    }
    let copy = Copy::of(&root()?)?;
    let mut lines = Vec::new();
    let mut all_found = !mutants.is_empty();
    for mutant in &mutants {
        heading(&mutant.name);
        println!("   {}", mutant.guard);
        let started = Instant::now();
        let verdict = copy.run(mutant)?;
        let word = match verdict {
            Verdict::Found => "found",
            Verdict::Survived => "SURVIVED",
            Verdict::Invalid => "INVALID",
        };
        println!("   {word} ({:.0} s)", started.elapsed().as_secs_f64());
        all_found &= verdict == Verdict::Found;
        lines.push(format!(
            "| `{}` | {} | `{}` | {word} |",
            mutant.name,
            mutant.guard,
            mutant.test_name()
        ));
    }
    let mut table = format!(
        "| mutant | the promise it breaks | the test that fails | |\n|---|---|---|---|\n{}",
        lines.join("\n")
    );
    println!("\n{table}");
    if let Some(path) = record {
        let _ = write!(table, "\n\n`cargo xtask mutants` at commit {}.\n", copy.commit);
        fs::write(path, format!("# Guards taken out\n\n{table}"))?;
    }
    Ok(all_found)
}

impl Mutant {
    fn test_name(&self) -> &str {
        self.test.last().map_or("", String::as_str)
    }

    /// The file as it becomes.
    fn changed(&self, root: &Path) -> Result<String, String> {
        let path = root.join(&self.file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", self.file.display()))?;
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            times => Err(format!("`find` is {times} times in {}, not once", self.file.display())),
        }
    }
}

/// A copy of the last commit, with a build directory of its own that is kept for the next run.
struct Copy {
    place: tempfile::TempDir,
    target: PathBuf,
    commit: String,
}

impl Copy {
    fn of(root: &Path) -> Result<Self, Problem> {
        let place = tempfile::tempdir()?;
        let tree = place.path().join("tree");
        git(
            root,
            &["clone", "--quiet", "--no-hardlinks", ".", &tree.display().to_string()],
        )?;
        let commit = git(&tree, &["rev-parse", "--short", "HEAD"])?;
        Ok(Self {
            target: root.join("target/mutants"),
            place,
            commit: commit.trim().to_owned(),
        })
    }

    fn run(&self, mutant: &Mutant) -> Result<Verdict, Problem> {
        let tree = self.place.path().join("tree");
        let path = tree.join(&mutant.file);
        let original = fs::read_to_string(&path)?;
        fs::write(&path, mutant.changed(&tree)?)?;
        let verdict = self.test(&tree, mutant);
        fs::write(&path, original)?;
        verdict
    }

    fn test(&self, tree: &Path, mutant: &Mutant) -> Result<Verdict, Problem> {
        let Some((name, selection)) = mutant.test.split_last() else {
            return Err(format!("{} names no test", mutant.name).into());
        };
        let output = cargo()
            .arg("test")
            .args(selection)
            .args(["--", "--exact", name])
            .current_dir(tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            // Dead code is what a mutant leaves behind.
            .env("RUSTFLAGS", "--cap-lints=warn")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if stdout.contains(&format!("test {name} ... FAILED")) {
            return Ok(Verdict::Found);
        }
        if stdout.contains(&format!("test {name} ... ok")) {
            return Ok(Verdict::Survived);
        }
        println!("{}\n{stdout}", String::from_utf8_lossy(&output.stderr));
        Ok(Verdict::Invalid)
    }
}

fn load() -> Result<Vec<Mutant>, Problem> {
    let mutants: Mutants = toml::from_str(MUTANTS).map_err(|error| format!("xtask/mutants.toml: {error}"))?;
    Ok(mutants.mutant)
}

fn root() -> Result<PathBuf, Problem> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
    Ok(metadata.workspace_root.into_std_path_buf())
}

fn git(at: &Path, arguments: &[&str]) -> Result<String, Problem> {
    let output = Command::new("git").args(arguments).current_dir(at).output()?;
    if !output.status.success() {
        return Err(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
