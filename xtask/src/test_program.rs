//! The programs that cargo makes of tests, run a few at a time: most tests wait for servers, processes and leases, and one
//! program after the other would wait for a quarter of an hour more.

use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use cargo_metadata::Message;

use crate::step::{Problem, cargo, heading};
use crate::tally::Tally;

/// Selects all packages with all features.
pub(crate) const ALL: [&str; 2] = ["--workspace", "--all-features"];

const BROKEN: &str = "a run of tests broke the others";

/// How many programs run at the same time.
const AT_ONCE: usize = 3;

/// A program with tests.
#[derive(Debug, Clone)]
pub(crate) struct TestProgram {
    /// The folder its package lies in, as `crates/domain`, and what it was made of, as `tests/conformance.rs`.
    pub(crate) name: String,
    program: PathBuf,
    /// Where its tests expect to run.
    package: PathBuf,
    /// Of the compiler; the tests of a procedural macro are linked with some.
    libraries: PathBuf,
}

/// One run of a program.
pub(crate) struct Run {
    pub(crate) program: TestProgram,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// What is said of it beside the name of the program.
    pub(crate) remark: String,
}

impl TestProgram {
    /// Builds what these arguments select, in the order the programs should start: those of the packages under `tests/`
    /// first, which take longest.
    pub(crate) fn build(selection: &[&str]) -> Result<Vec<Self>, Problem> {
        let libraries = libraries()?;
        let mut build = cargo()
            .args(["test", "--no-run", "--message-format=json-render-diagnostics"])
            .args(selection)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = build.stdout.take().ok_or("cargo has no output to read")?;
        let mut programs = Vec::new();
        for message in Message::parse_stream(BufReader::new(stdout)) {
            if let Message::CompilerArtifact(artifact) = message?
                && let (true, Some(program)) = (artifact.profile.test, artifact.executable)
            {
                let package = artifact.manifest_path.parent().ok_or("a manifest lies in a folder")?;
                let source = &artifact.target.src_path;
                let source = source.strip_prefix(package).unwrap_or(source);
                let mut folders = package.components().rev().map(|folder| folder.as_str()).take(2);
                let (own, above) = (folders.next().unwrap_or_default(), folders.next().unwrap_or_default());
                programs.push(Self {
                    name: format!("{above}/{own} {source}"),
                    program: program.into(),
                    package: package.into(),
                    libraries: libraries.clone(),
                });
            }
        }
        if !build.wait()?.success() {
            return Err("the tests could not be built".into());
        }
        programs.sort_by_key(|program| (!program.name.starts_with("tests/"), program.name.clone()));
        Ok(programs)
    }

    /// The program, in the environment that `cargo test` gives it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.package)
            .env("CARGO_MANIFEST_DIR", &self.package)
            .env("LD_LIBRARY_PATH", &self.libraries);
        command
    }
}

/// A run of all tests of a program.
impl From<TestProgram> for Run {
    fn from(program: TestProgram) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            remark: String::new(),
        }
    }
}

impl Run {
    /// Runs them, a few at a time, and shows what each printed when it is over. The counts come in the order of the runs.
    pub(crate) fn all(runs: &[Self]) -> Result<Vec<Tally>, Problem> {
        let next = AtomicUsize::new(0);
        let counted = Mutex::new(vec![Tally::default(); runs.len()]);
        let problem = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(run) = runs.get(at) else { return };
                        let started = Instant::now();
                        let outcome = run.output();
                        let seconds = started.elapsed().as_secs_f64();
                        // Shown under the lock, so that the outputs of two programs do not mix.
                        let (Ok(mut counted), Ok(mut problem)) = (counted.lock(), problem.lock()) else {
                            return;
                        };
                        match outcome {
                            Ok(output) => counted[at] = run.read(&output, seconds),
                            Err(error) => *problem = Some(format!("{}: {error}", run.program.name)),
                        }
                    }
                });
            }
        });
        match problem.into_inner().map_err(|_| BROKEN)? {
            Some(problem) => Err(problem.into()),
            None => Ok(counted.into_inner().map_err(|_| BROKEN)?),
        }
    }

    /// All it printed, and whether it succeeded.
    fn output(&self) -> io::Result<(String, bool)> {
        // Most tests wait most of the time.
        let threads = thread::available_parallelism().map_or(2, usize::from) * 2;
        let (mut reader, writer) = io::pipe()?;
        let mut command = self.program.command();
        command
            .args(&self.arguments)
            .env("RUST_TEST_THREADS", threads.to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // It holds the writing ends, and the output would have no end.
        drop(command);
        let mut output = Vec::new();
        reader.read_to_end(&mut output)?;
        let succeeded = child.wait()?.success();
        // A test may print anything, so the output is read as bytes.
        Ok((String::from_utf8_lossy(&output).into_owned(), succeeded))
    }

    fn read(&self, (output, succeeded): &(String, bool), seconds: f64) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        heading(&format!("{}{} ({seconds:.1} s)", self.program.name, self.remark));
        println!("{output}");
        if !succeeded && tally.failed == 0 {
            println!("error: {} broke off", self.program.name);
            tally.failed += 1;
            tally.failed_tests.push(format!("{} broke off", self.program.name));
        }
        tally
    }
}

fn libraries() -> Result<PathBuf, Problem> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
