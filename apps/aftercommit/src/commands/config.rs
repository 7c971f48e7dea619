//! `aftercommit config`

use aftercommit::config::{Rendering, Settings, reference as key_reference};

use crate::cli::Output;
use crate::command_error::CommandError;
use crate::printable::{printable, printable_json, printable_lines};

pub(crate) fn check(output: Output) -> Result<String, CommandError> {
    let settings = Settings::load()?;
    for warning in &settings.warnings {
        eprintln!("aftercommit: {}", printable(warning));
    }
    Ok(report(&settings.describe(rendering(output)), output))
}

pub(crate) fn reference(output: Output) -> String {
    report(&key_reference(rendering(output)), output)
}

const fn rendering(output: Output) -> Rendering {
    if output.json { Rendering::Json } else { Rendering::Text }
}

fn report(text: &str, output: Output) -> String {
    let text = text.trim_end();
    let text = if output.json {
        printable_json(text)
    } else {
        printable_lines(text)
    };
    format!("{text}\n")
}
