//! The process that clears up after a test process, however that ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Starts a program in its place, after its process id is written down with a word that its arguments hold.
pub(crate) const LAUNCH: &str = r#"
echo "$$ $2" > "$1"
shift 2
exec "$@"
"#;

/// Waits until its input ends, which it does when the test process is gone; then kills what was written down, and deletes
/// the directory. A process id may be another's by now, so what has it must have been started with the word beside it.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
directory=$1
while read -r _; do :; done
arguments() {
    if [ -r "/proc/$1/cmdline" ]; then tr '\0' ' ' < "/proc/$1/cmdline"; else ps -ww -o args= -p "$1"; fi
}
for file in "$directory"/*.started; do
    [ -r "$file" ] || continue
    read -r pid word < "$file"
    case "$(arguments "$pid")" in
        *"$word"*) kill -KILL "$pid" ;;
    esac
done
rm -rf -- "$directory" || { sleep 1; rm -rf -- "$directory"; }
"#;

#[derive(Debug)]
pub(crate) struct Watcher {
    child: Child,
    /// `None` once it was told that this is the end.
    input: Option<ChildStdin>,
}

impl Watcher {
    /// Watches over this directory from now on.
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
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

    /// Lets it clear up now, and waits for it.
    pub(crate) fn end(&mut self) {
        self.input = None;
        // It only fails when somebody else has waited for the process.
        let _ended = self.child.wait();
    }
}
