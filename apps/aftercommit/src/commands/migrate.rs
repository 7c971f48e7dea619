//! `aftercommit migrate`

use std::fmt::Write as _;

use aftercommit::config::Settings;
use aftercommit::postgres::migrations::MigrationState;
use aftercommit::schema;
use serde_json::json;

use crate::cli::{Migrate, MigrateQuestion, Output};
use crate::command_error::CommandError;
use crate::table::Table;

pub(crate) async fn execute(command: Migrate) -> Result<String, CommandError> {
    let settings = Settings::load()?;
    if let Some(MigrateQuestion::Status(output)) = command.question {
        let states = schema::status(&settings).await?;
        return Ok(described(&states, &schema::findings(&settings).await?, output));
    }
    if command.dry_run {
        let mut states = schema::status(&settings).await?;
        states.retain(|state| command.is_chosen(state.schema));
        return Ok(missing_sql(&states));
    }
    let applied = schema::migrate(&settings, |name| command.is_chosen(name), command.grant_to.as_deref()).await?;
    let mut text = String::new();
    for state in &applied {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "applied {} {} {}", state.schema, state.version, state.description);
    }
    if applied.is_empty() {
        text.push_str("the tables are of this version already\n");
    }
    if let Some(role) = command.grant_to {
        let _ = writeln!(text, "{role} may use them");
    }
    Ok(text)
}

fn described(states: &[MigrationState], findings: &[String], output: Output) -> String {
    if output.json {
        let states: Vec<_> = states
            .iter()
            .map(|state| {
                json!({
                    "schema": state.schema, "version": state.version, "description": state.description,
                    "applied": state.is_applied,
                })
            })
            .collect();
        return format!("{:#}\n", json!({ "migrations": states, "warnings": findings }));
    }
    let mut table = Table::new(["SCHEMA", "VERSION", "APPLIED", "DESCRIPTION"]);
    for state in states {
        let applied = if state.is_applied { "yes" } else { "no" };
        table.row([state.schema, &state.version.to_string(), applied, &state.description]);
    }
    let mut text = table.render("there are no migrations");
    for finding in findings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nwarning: {finding}");
    }
    text
}

/// What is missing, as SQL to be read, or to be applied by hand or by another tool: it notes itself.
fn missing_sql(states: &[MigrationState]) -> String {
    let mut text = String::new();
    for state in states.iter().filter(|state| !state.is_applied) {
        let _ = writeln!(
            text,
            "-- {} {} {}\n{}",
            state.schema, state.version, state.description, state.script
        );
    }
    if text.is_empty() {
        text.push_str("-- nothing is missing\n");
    }
    text
}
