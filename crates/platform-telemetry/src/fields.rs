//! Field values as they are recorded: bounded, and in the order of their appearance.

use serde_json::{Number, Value};
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};

/// The longest text of one field in bytes. A longer one is cut, so that one error cannot flood the log.
pub(crate) const LONGEST_TEXT: usize = 8 * 1024;

/// What ends a text that was cut.
pub(crate) const CUT: &str = "… (cut)";

/// The fields of one span or event. A later value of a name replaces the earlier one.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Takes a field out, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let position = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(position).1)
    }

    /// Adds the fields of a span further out, which give way to those that are already here.
    pub(crate) fn add_outer(&mut self, outer: &Fields) {
        for (name, value) in &outer.0 {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name, value.clone()));
            }
        }
    }

    fn set(&mut self, field: &Field, value: Value) {
        if is_for_traces(field.name()) {
            return;
        }
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

/// Attributes by the conventions of OpenTelemetry say again what the log calls by names of its own: they are for a layer that
/// exports spans.
fn is_for_traces(name: &str) -> bool {
    name.starts_with("messaging.") || name.starts_with("otel.")
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        let value = Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number);
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_for_traces(field.name()) {
            return;
        }
        self.set(field, bounded(format_args!("{value}")).into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, bounded(format_args!("{}", Chain(value))).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_for_traces(field.name()) {
            return;
        }
        self.set(field, bounded(format_args!("{value:?}")).into());
    }
}

/// An error and its causes on one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DEEPEST: usize = 16;
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| cause.source());
        causes.take(DEEPEST).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

fn bounded(text: fmt::Arguments<'_>) -> String {
    let mut written = Bounded(String::new());
    // It fails when the text is full (and is marked as cut) or when the value's own formatting fails.
    let _ = written.write_fmt(text);
    written.0
}

/// Stops formatting where the text is full, so that a huge value is never built.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = LONGEST_TEXT.saturating_sub(self.0.len());
        if part.len() <= room {
            self.0.push_str(part);
            return Ok(());
        }
        self.0.push_str(&part[..part.floor_char_boundary(room)]);
        self.0.push_str(CUT);
        Err(fmt::Error)
    }
}
