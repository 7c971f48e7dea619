//! The shop of `examples/adopt`: its tests before and after `aftercommit.patch`, as `docs/guides/adopt.md` walks it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::kit::Workspace;
use crate::step::{Problem, Step};
use crate::tally::Tally;

/// What the copy does without: the lock file of the workspace takes the place of the shop's, so that both are built of
/// the same libraries.
const NOT_COPIED: [&str; 3] = ["target", "Cargo.lock", "aftercommit.patch"];

/// The program that starts the shop's server, an example of the test kit.
pub(crate) const SERVER: &str = "postgres";

/// Runs the tests of a copy of the shop, applies the patch, and runs them again.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Problem> {
    // As deep as the original, because the patch names the library by a relative path.
    let shop = workspace.root().join("target/adopt");
    let original = workspace.root().join("examples/adopt");
    if shop.exists() {
        fs::remove_dir_all(&shop)?;
    }
    copy(&original, &shop)?;
    let lock = || fs::copy(workspace.root().join("Cargo.lock"), shop.join("Cargo.lock"));
    let server = Server::start(&workspace.built().join("examples").join(SERVER))?;
    let tests = |name: &str| {
        let mut step = Step::cargo(name, ["test", "--no-fail-fast"])
            .env("CARGO_TARGET_DIR", workspace.target())
            .env("DATABASE_URL", &server.url);
        step.command.current_dir(&shop);
        step.run_tests()
    };
    lock()?;
    let mut tally = tests("a shop that does not know Aftercommit")?;
    if !patch(&original, &shop).run()? {
        tally.failed += 1;
        return Ok(tally);
    }
    // Of the packages the shop did not need before, cargo has left none in it.
    lock()?;
    Ok(tally.and(tests("the shop with examples/adopt/aftercommit.patch")?))
}

fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if NOT_COPIED.iter().any(|name| entry.file_name() == OsStr::new(name)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn patch(original: &Path, shop: &Path) -> Step {
    let mut command = Command::new("git");
    command
        .args(["apply", "-p3"])
        .arg(original.join("aftercommit.patch"))
        .current_dir(shop)
        // To git it is a folder like any other, whatever repository is around it.
        .env("GIT_CEILING_DIRECTORIES", shop.parent().unwrap_or(shop))
        .stdin(Stdio::null());
    Step {
        name: "examples/adopt/aftercommit.patch fits".to_owned(),
        command,
    }
}

/// A throw-away PostgreSQL, gone when this is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(program: &PathBuf) -> Result<Self, Problem> {
        let mut process = Command::new(program)
            .arg("shop")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut server = Self {
            process,
            url: String::new(),
        };
        let url = line.trim().strip_prefix("DATABASE_URL=");
        url.ok_or("the shop's PostgreSQL did not start; it says why above")?
            .clone_into(&mut server.url);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself. What it leaves, its own watcher clears up.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// What it adds to files that are there, and to new ones.
    fn added(patch: &str) -> (BTreeMap<&str, usize>, usize) {
        let (mut existing, mut new) = (BTreeMap::new(), 0);
        let (mut file, mut is_new) = ("", false);
        for line in patch.lines() {
            if let Some(names) = line.strip_prefix("diff --git ") {
                file = names.split_once(" b/").map_or("", |(_, name)| name);
                is_new = false;
            } else if line.starts_with("new file mode") {
                is_new = true;
            } else if line.starts_with('+') && !line.starts_with("+++ ") {
                if is_new {
                    new += 1;
                } else {
                    *existing.entry(file).or_default() += 1;
                }
            }
        }
        (existing, new)
    }

    #[test]
    fn to_adopt_is_to_change_fifteen_lines_at_most_beside_new_files() {
        let (existing, new) = added(include_str!("../../examples/adopt/aftercommit.patch"));
        assert_eq!(existing.get("examples/adopt/Cargo.toml"), Some(&1), "one dependency");
        let changed: usize = existing.values().sum();
        assert!(changed <= 15, "{changed}: {existing:?}");
        assert!(new > 0);
    }
}
