//! What fuzz targets are made with. A target is a test: [`fuzz_target!`] makes one of a function that draws an input from
//! random bytes and a function that says what holds for any input.
//!
//! - First every file of `corpus/<target>` is tried: inputs that failed once, and a few of each kind by hand.
//! - Then some thousand drawn inputs, the same in every run: this is what `cargo test` does.
//! - With `AFTERCOMMIT_FUZZ_SECONDS` in the environment, drawn inputs for that long instead, others in each run. It ends
//!   with a line that says how many they were.
//!
//! The inputs are random: nothing measures which code an input reaches. They go deep because they are valid ones with
//! something changed. An input that fails is made smaller and written to `found/<target>`. Once what it found is put right,
//! it moves to `corpus/<target>` under a name that says what it was, and stays there.

#![expect(clippy::expect_used, reason = "a test that cannot run fails")]

mod draw;
mod json;

pub use draw::{Draw, Drawn};
pub use json::{any_json, any_text, mutated, unique_id};

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use proptest::collection::vec;
use proptest::num::u64::ANY;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

/// Inputs of a run of `cargo test`.
const INPUTS: u32 = 3000;
/// The most random numbers of eight bytes an input is drawn from.
const MOST_NUMBERS: usize = 128;

/// Makes the test `fuzz_…`. `draw` makes an input of random bytes, `holds` panics when something does not hold for it.
#[macro_export]
macro_rules! fuzz_target {
    ($(#[$attribute:meta])* $name:ident, $draw:expr, $holds:expr $(,)?) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            $crate::Target {
                name: stringify!($name),
                draw: $draw,
                holds: $holds,
            }
            .run();
        }
    };
}

/// A parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// `fuzz_…`: the test's, and that of the folder with its inputs.
    pub name: &'static str,
    /// Makes an input of random bytes.
    pub draw: Draw,
    /// Panics when something does not hold for an input.
    pub holds: fn(&[u8]),
}

impl Target {
    /// Tries the inputs that are kept, then drawn ones.
    ///
    /// # Panics
    /// Something does not hold for one of them.
    pub fn run(self) {
        Watch::begin();
        self.replay();
        let Some(time) = time() else {
            return self.try_drawn(RngSeed::Fixed(1));
        };
        let (started, mut tried) = (Instant::now(), 0_u64);
        while started.elapsed() < time {
            self.try_drawn(RngSeed::Random);
            tried += u64::from(INPUTS);
        }
        println!("{}: {tried} inputs in {} s, nothing found", self.name, time.as_secs());
    }

    fn replay(self) {
        let folder = folder().join("corpus").join(self.name);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|file| file.expect("a folder can be listed").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} holds no input", folder.display());
        for file in files {
            let input = fs::read(&file).expect("a file can be read");
            let _told = Told(file);
            self.try_one(&input);
        }
    }

    fn try_one(self, input: &[u8]) {
        let _watched = Watch::over(self.name, input);
        (self.holds)(input);
    }

    fn drawn_from(self, numbers: &[u64]) -> Option<Vec<u8>> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        (self.draw)(&mut Drawn::new(&bytes)).ok()
    }

    fn try_drawn(self, rng_seed: RngSeed) {
        let config = Config {
            cases: INPUTS,
            rng_seed,
            failure_persistence: None,
            max_shrink_time: 20_000,
            ..Config::default()
        };
        let quiet = Quiet::begin();
        let tried = TestRunner::new(config).run(&vec(ANY, 0..MOST_NUMBERS), |numbers| {
            if let Some(input) = self.drawn_from(&numbers) {
                self.try_one(&input);
            }
            Ok(())
        });
        drop(quiet);
        match tried {
            Ok(()) => {}
            Err(TestError::Abort(reason)) => panic!("{}: {reason}", self.name),
            Err(TestError::Fail(reason, numbers)) => {
                let input = self.drawn_from(&numbers).expect("it was drawn before");
                let found = keep(self.name, &input);
                panic!(
                    "{}: {reason}\nwith the input in {found}: {}",
                    self.name,
                    input.escape_ascii()
                );
            }
        }
    }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Of the many failures while an input is made smaller, only the last one is told.
struct Quiet;

impl Quiet {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !IS_QUIET.get() {
                    hook(info);
                }
            }));
        });
        IS_QUIET.set(true);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IS_QUIET.set(false);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no configuration")]
fn time() -> Option<Duration> {
    let text = env::var("AFTERCOMMIT_FUZZ_SECONDS").ok()?;
    let seconds = text.parse().expect("AFTERCOMMIT_FUZZ_SECONDS is a number");
    Some(Duration::from_secs(seconds))
}

/// Writes down an input that failed, and says where.
fn keep(name: &str, input: &[u8]) -> String {
    let file = folder().join("found").join(name);
    let written = fs::create_dir_all(folder().join("found")).and_then(|()| fs::write(&file, input));
    match written {
        Ok(()) => file.display().to_string(),
        Err(error) => format!("no file ({error})"),
    }
}

/// The input that is being tried, and since when.
static TRIED: Mutex<Option<(Instant, &'static str, Vec<u8>)>> = Mutex::new(None);

/// Ends the process when an input takes too long: a parser that does not come back cannot be told so otherwise.
struct Watch;

impl Watch {
    const PATIENCE: Duration = Duration::from_secs(20);

    fn begin() {
        static BEGUN: Once = Once::new();
        BEGUN.call_once(|| {
            thread::spawn(|| {
                loop {
                    thread::sleep(Duration::from_secs(1));
                    let tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    if let Some((since, name, input)) = tried
                        && since.elapsed() > Self::PATIENCE
                    {
                        let found = keep(name, &input);
                        eprintln!(
                            "{name}: does not come back with the input in {found}: {}",
                            input.escape_ascii()
                        );
                        std::process::abort();
                    }
                }
            });
        });
    }

    fn over(name: &'static str, input: &[u8]) -> Self {
        let tried = (Instant::now(), name, input.to_vec());
        *TRIED.lock().unwrap_or_else(PoisonError::into_inner) = Some(tried);
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *TRIED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Tells which file it was when its input fails.
struct Told(PathBuf);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("with the input in {}", self.0.display());
        }
    }
}
