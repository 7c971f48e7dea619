//! `aftercommit doctor`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::doctor::{FindingState, examine};
use serde_json::json;

use crate::cli::Output;
use crate::command_error::CommandError;
use crate::wiring;

/// Prints what was found out; fails when something does not work.
pub(crate) async fn execute(output: Output) -> Result<ExitCode, CommandError> {
    let settings = Settings::load()?;
    let findings = Box::pin(examine(wiring::application(), settings)).await;
    let text = if output.json {
        format!("{:#}\n", json!({ "findings": findings }))
    } else {
        let mut text = String::new();
        for finding in &findings {
            let mark = match finding.state {
                FindingState::Well => "ok  ",
                FindingState::Warning => "warn",
                FindingState::Failed => "FAIL",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{mark}  {:<16} {}", finding.what, finding.detail);
            if !finding.advice.is_empty() {
                let _ = writeln!(text, "      {:<16} → {}", "", finding.advice);
            }
        }
        text
    };
    let mut out = std::io::stdout().lock();
    // Whoever reads may be gone already; the exit status says it too.
    let _ = out.write_all(text.as_bytes());
    let works = findings.iter().all(|finding| finding.state != FindingState::Failed);
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
