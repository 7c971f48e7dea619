//! One event as one line.

use crate::{
    escape::{Escaped, EscapedJson},
    fields::Fields,
    logs::LogFormat,
};
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::Value;
use std::fmt::{self, Write as _};
use tracing::Level;

/// Everything that a line is made of.
pub(crate) struct Line<'a> {
    /// RFC 3339 in UTC with microseconds.
    pub(crate) timestamp: &'a str,
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    /// The innermost span.
    pub(crate) span: Option<&'a str>,
    pub(crate) message: Option<Value>,
    /// Those of the event, then those of the spans from the inside out.
    pub(crate) fields: &'a Fields,
}

/// The parts of a JSON line that no field may pass itself off as.
const PARTS: [&str; 5] = ["timestamp", "level", "target", "span", "message"];

impl Line<'_> {
    /// The line with its line break.
    pub(crate) fn render(self, format: LogFormat, ansi: bool) -> Result<String, fmt::Error> {
        match format {
            LogFormat::Json => self.json(),
            LogFormat::Pretty => self.pretty(ansi),
        }
    }

    fn json(self) -> Result<String, fmt::Error> {
        let mut bytes = Vec::with_capacity(256);
        self.json_object(&mut bytes).map_err(|_| fmt::Error)?;
        let object = String::from_utf8(bytes).map_err(|_| fmt::Error)?;
        Ok(format!("{}\n", EscapedJson(&object)))
    }

    fn json_object(self, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut serializer = serde_json::Serializer::new(bytes);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("timestamp", self.timestamp)?;
        object.serialize_entry("level", self.level.as_str())?;
        object.serialize_entry("target", self.target)?;
        if let Some(span) = self.span {
            object.serialize_entry("span", span)?;
        }
        if let Some(message) = &self.message {
            object.serialize_entry("message", message)?;
        }
        for (name, value) in self.fields.iter() {
            if PARTS.contains(&name) {
                object.serialize_entry(&format!("field_{name}"), value)?;
            } else {
                object.serialize_entry(name, value)?;
            }
        }
        object.end()
    }

    fn pretty(self, ansi: bool) -> Result<String, fmt::Error> {
        let (dim, colour, plain) = if ansi {
            ("\u{1b}[2m", colour(self.level), "\u{1b}[0m")
        } else {
            ("", "", "")
        };
        let mut line = format!(
            "{dim}{}{plain} {colour}{:>5}{plain} {dim}{}",
            self.timestamp, self.level, self.target
        );
        if let Some(span) = self.span {
            write!(line, " {span}")?;
        }
        write!(line, ":{plain}")?;
        match self.message {
            Some(Value::String(message)) => write!(line, " {}", Escaped(&message))?,
            Some(message) => write!(line, " {message}")?,
            None => {}
        }
        for (name, value) in self.fields.iter() {
            write!(line, " {dim}{name}={plain}")?;
            match value {
                Value::String(text) if is_bare(text) => write!(line, "{}", Escaped(text))?,
                Value::String(text) => write!(
                    line,
                    "\"{}\"",
                    Escaped(&text.replace('\\', "\\\\").replace('"', "\\\""))
                )?,
                other => write!(line, "{other}")?,
            }
        }
        line.push('\n');
        Ok(line)
    }
}

/// A text that cannot be taken for two fields.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.contains(|character: char| character.is_whitespace() || "\"=\\".contains(character))
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}
