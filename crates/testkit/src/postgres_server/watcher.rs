//! The process that clears up after a test process, however that ends.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::throw_away::signals::Pid;

/// Reads what is running until its input ends, which it does when the test process is gone; then stops that and deletes
/// the directory. It knows process ids by what it was told, and believes one only while the server's own pid file says
/// the same.
///
/// A stopped process ignores all but two signals, so what is paused goes on first. The server gets five seconds to
/// remove its shared memory and, last, its pid file; a killed one cannot, so its segment is removed here.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
directory=$1
pid= paused=
while read -r word rest; do
    case $word in
        running) pid=$rest ;;
        paused) paused=$rest ;;
    esac
done
file=$directory/data/postmaster.pid
segment=
if [ -r "$file" ]; then
    { read -r written; for _ in 2 3 4 5 6; do read -r _; done; read -r _ segment; } < "$file"
    if [ -n "$pid" ] && [ "$written" = "$pid" ]; then
        kill -CONT $pid $paused
        kill -QUIT "$pid"
        tries=0
        while [ -e "$file" ] && kill -0 "$pid" && [ $tries -lt 100 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
        kill -KILL "$pid"
    fi
    [ -z "$segment" ] || ipcrm -m "$segment"
fi
rm -rf -- "$directory"
"#;

#[derive(Debug)]
pub(super) struct Watcher {
    child: Child,
    /// `None` once it was told that this is the end.
    input: Option<ChildStdin>,
}

impl Watcher {
    /// Watches over this directory from now on.
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(directory)
            .current_dir("/")
            // Whoever reads the output of the tests must not wait for this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the keyboard is for the tests; this process has to outlive them.
            .process_group(0)
            .spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    /// Tells it the process to stop, or that there is none.
    pub(super) fn running(&mut self, server: Option<Pid>) -> io::Result<()> {
        self.tell("running", server.as_slice())
    }

    /// Tells it what was stopped by a signal and has to go on before it can end.
    pub(super) fn paused(&mut self, processes: &[Pid]) -> io::Result<()> {
        self.tell("paused", processes)
    }

    fn tell(&mut self, word: &str, processes: &[Pid]) -> io::Result<()> {
        let mut line = word.to_owned();
        for pid in processes {
            line.push(' ');
            line.push_str(&pid.as_raw_nonzero().to_string());
        }
        line.push('\n');
        match &mut self.input {
            Some(input) => input.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }

    /// Lets it clear up now, and waits for it.
    pub(super) fn end(&mut self) {
        self.input = None;
        // It only fails when somebody else has waited for the process.
        let _ended = self.child.wait();
    }
}
