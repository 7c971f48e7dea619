//! The programs that cargo makes of tests, run two at a time: many tests wait for servers, processes and leases, and one
//! program after the other would take ten minutes more.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use cargo_metadata::{Message, MetadataCommand};

use crate::step::{Problem, cargo, heading};
use crate::tally::Tally;

/// Selects all packages with all features.
pub(crate) const ALL: [&str; 2] = ["--workspace", "--all-features"];

/// The package whose tests start whole processes.
const PROCESSES: &str = "tests/e2e ";

/// What cargo calls the source of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The tests in a library.
    Library,
    /// A file of `tests/`.
    Test(String),
    /// The tests in a program or an example.
    Other,
}

/// A program with tests.
#[derive(Debug, Clone)]
pub(crate) struct TestProgram {
    /// The folder its package lies in, as `crates/domain`, and what it was made of, as `tests/conformance.rs`.
    pub(crate) name: String,
    /// The name of its package.
    pub(crate) crate_name: String,
    pub(crate) target: Target,
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
    /// Builds what these arguments select, in the order of their names.
    pub(crate) fn build(selection: &[&str]) -> Result<Vec<Self>, Problem> {
        let packages = MetadataCommand::new().no_deps().exec()?.packages;
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
                let known = packages.iter().find(|known| known.id == artifact.package_id);
                let (own, above) = (folders.next().unwrap_or_default(), folders.next().unwrap_or_default());
                programs.push(Self {
                    name: format!("{above}/{own} {source}"),
                    crate_name: known.map(|known| known.name.to_string()).unwrap_or_default(),
                    target: if artifact.target.is_test() {
                        Target::Test(artifact.target.name.clone())
                    } else if artifact.target.is_bin() || artifact.target.is_example() {
                        Target::Other
                    } else {
                        Target::Library
                    },
                    program: program.into(),
                    package: package.into(),
                    libraries: libraries.clone(),
                });
            }
        }
        if !build.wait()?.success() {
            return Err("the tests could not be built".into());
        }
        programs.sort_by(|one, other| one.name.cmp(&other.name));
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
    /// Runs them, two at a time, and shows what each printed when it is over. The counts come in the order of the runs.
    ///
    /// One of the two is a program of whole processes, as long as there are some: they wait for servers and leases, while the
    /// others compute. Two of that kind would let each other's processes start too slowly.
    pub(crate) fn all(runs: &[Self]) -> Result<Vec<Tally>, Problem> {
        let (processes, others): (VecDeque<usize>, VecDeque<usize>) =
            (0..runs.len()).partition(|at| runs[*at].program.name.starts_with(PROCESSES));
        let waiting = Mutex::new([processes, others]);
        let done = Mutex::new((vec![Tally::default(); runs.len()], None));
        thread::scope(|scope| {
            for own in [0, 1] {
                let (waiting, done) = (&waiting, &done);
                scope.spawn(move || {
                    loop {
                        let next = waiting
                            .lock()
                            .ok()
                            .and_then(|mut queues| queues[own].pop_front().or_else(|| queues[1 - own].pop_front()));
                        let Some(at) = next else { return };
                        let started = Instant::now();
                        let outcome = runs[at].output();
                        let seconds = started.elapsed().as_secs_f64();
                        // Shown under the lock, so that the outputs of two programs do not mix.
                        let Ok(mut done) = done.lock() else { return };
                        match outcome {
                            Ok(output) => done.0[at] = runs[at].read(&output, seconds),
                            Err(error) => done.1 = Some(format!("{}: {error}", runs[at].program.name)),
                        }
                    }
                });
            }
        });
        let (tallies, problem) = done.into_inner().map_err(|_| "a run of tests broke the others")?;
        problem.map_or(Ok(tallies), |problem: String| Err(problem.into()))
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
            tally = tally.and(Tally::failure(format!("{} broke off", self.program.name)));
        }
        tally
    }
}

fn libraries() -> Result<PathBuf, Problem> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
