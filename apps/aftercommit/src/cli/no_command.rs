//! What was typed is no command.

use std::io::Write as _;

use crate::printable::printable_lines;

/// Help or the version was asked for, or what was typed is wrong.
#[derive(Debug)]
pub(crate) struct NoCommand(pub(super) clap::Error);

impl NoCommand {
    /// 0 when it was asked for, 2 when something is wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::try_from(self.0.exit_code()).unwrap_or(2)
    }

    /// The words for it. They repeat what was typed, which a script may have from anywhere.
    pub(crate) fn told(&self) -> String {
        printable_lines(&self.0.render().to_string())
    }

    /// Prints it where it belongs.
    pub(crate) fn print(&self) {
        // A closed pipe has seen enough.
        let _ = if self.0.use_stderr() {
            writeln!(std::io::stderr(), "{}", self.told())
        } else {
            self.0.print()
        };
    }
}
