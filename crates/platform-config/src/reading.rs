//! Reads typed values, collects every problem on the way, and remembers what holds.

use crate::{
    database::{SQLITE, sqlite_url},
    duration::{self, Written},
    effective::EffectiveValue,
    error::{ConfigError, ConfigErrors},
    key::{Form, Key, KeyName, Preset},
    layers::{Layers, Origin},
};
use figment::value::Value;
use secrecy::SecretString;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What is shown instead of a secret.
pub(crate) const REDACTED: &str = "‹redacted›";

/// One pass over the merged sources.
///
/// A bad value yields the default of its type, so that the pass goes on and reports all problems; [`Reading::finish`]
/// then refuses the result.
pub(crate) struct Reading<'a> {
    layers: &'a Layers,
    /// Where the defaults lie that follow the data directory. It is read before them.
    data_dir: PathBuf,
    problems: Vec<ConfigError>,
    effective: Vec<EffectiveValue>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(layers: &'a Layers, problems: Vec<ConfigError>) -> Self {
        Self {
            layers,
            data_dir: PathBuf::new(),
            problems,
            effective: Vec::new(),
        }
    }

    /// What holds, if there was no problem.
    pub(crate) fn finish(self) -> Result<Vec<EffectiveValue>, ConfigErrors> {
        if self.problems.is_empty() {
            Ok(self.effective)
        } else {
            Err(ConfigErrors::new(self.problems))
        }
    }

    pub(crate) fn place_defaults_in(&mut self, data_dir: &Path) {
        data_dir.clone_into(&mut self.data_dir);
    }

    /// The topics that have settings of their own.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.layers.topics()
    }

    pub(crate) fn is_given(&self, key: &Key) -> bool {
        self.layers.find(&key.name("")).is_some()
    }

    /// A whole number of a key that has a default.
    pub(crate) fn count<T: TryFrom<u64> + Default>(&mut self, key: &Key) -> T {
        self.count_for("", key).unwrap_or_default()
    }

    /// A whole number, or `None` where neither the configuration nor a default gives one.
    pub(crate) fn count_for<T: TryFrom<u64>>(&mut self, topic: &str, key: &Key) -> Option<T> {
        let form = key.form;
        self.parsed_for(topic, key, |text| parse_count(text, form), u64::to_string)
            .and_then(|number| T::try_from(number).ok())
    }

    /// A duration of a key that has a default.
    pub(crate) fn span(&mut self, key: &Key) -> Duration {
        self.span_for("", key).unwrap_or_default()
    }

    /// A duration, or `None` where neither the configuration nor a default gives one.
    pub(crate) fn span_for(&mut self, topic: &str, key: &Key) -> Option<Duration> {
        let form = key.form;
        self.parsed_for(
            topic,
            key,
            |text| parse_span(text, form),
            |span| Written(*span).to_string(),
        )
    }

    /// One of the words of a key that has a default. The words and the meanings are in the same order.
    pub(crate) fn choice<T: Copy + Default>(&mut self, key: &Key, meanings: &[T]) -> T {
        let Form::Choice(words) = key.form else {
            return T::default();
        };
        let parse = |text: &str| {
            let found = words.iter().zip(meanings).find(|(word, _)| **word == text);
            found
                .map(|(word, meaning)| (*word, *meaning))
                .ok_or_else(|| "not one of the accepted words".to_owned())
        };
        let found = self.parsed(key, parse, |(word, _)| (*word).to_owned());
        found.map(|(_, meaning)| meaning).unwrap_or_default()
    }

    /// Yes or no, of a key that has a default.
    pub(crate) fn flag(&mut self, key: &Key) -> bool {
        let parse = |text: &str| text.parse::<bool>().map_err(|_| "is neither true nor false".to_owned());
        self.parsed(key, parse, bool::to_string).unwrap_or_default()
    }

    /// A value in a form of its own. `parse` says what is wrong without repeating the text; `show` leaves secrets out.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        self.parsed_for("", key, parse, show)
    }

    /// What words with commas between them mean, or `None` where neither the configuration nor a default gives any. `parse`
    /// says what is wrong with them without repeating them.
    pub(crate) fn list<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&[String]) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let parse = |text: &str| {
            let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
            for (index, word) in words.iter().enumerate() {
                if word.is_empty() {
                    return Err("has a comma with nothing before or after it".to_owned());
                }
                if words[..index].contains(word) {
                    return Err("names the same thing twice".to_owned());
                }
            }
            parse(&words)
        };
        self.parsed(key, parse, show)
    }

    /// The path of a file.
    pub(crate) fn path(&mut self, key: &Key) -> Option<PathBuf> {
        // Messages name files, and whoever takes the path for its content must not find a key in them.
        let parse = |text: &str| {
            if text.contains("-----BEGIN") {
                Err("is what stands in the file instead of its path".to_owned())
            } else {
                Ok(PathBuf::from(text))
            }
        };
        self.parsed(key, parse, |path| path.display().to_string())
    }

    /// A secret that `check` accepts.
    pub(crate) fn secret(&mut self, key: &Key, check: impl FnOnce(&str) -> Result<(), String>) -> Option<SecretString> {
        self.parsed(
            key,
            |text| check(text).map(|()| SecretString::from(text)),
            |_| REDACTED.to_owned(),
        )
    }

    /// Reports a problem of a key that only shows in combination with others.
    pub(crate) fn refuse(&mut self, topic: &str, key: &Key, problem: &str) {
        self.report(&key.name(topic), problem, &key.form.expected());
    }

    /// The same where the form of the key is not what would mend it.
    pub(crate) fn refuse_expecting(&mut self, key: &Key, problem: &str, expected: &str) {
        self.report(&key.name(""), problem, expected);
    }

    fn report(&mut self, name: &KeyName, problem: &str, expected: &str) {
        let origin = self.layers.find(name).map_or(Origin::Environment, |(_, origin)| origin);
        let error = ConfigError::new(&written_name(name, &origin), problem).expected(expected);
        self.problems.push(error);
    }

    fn parsed_for<T>(
        &mut self,
        topic: &str,
        key: &Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let name = key.name(topic);
        let (text, origin) = match self.layers.find(&name) {
            Some((value, origin)) => match plain_text(&value, key.form) {
                Ok(text) => (text, Some(origin)),
                Err(problem) => {
                    self.refuse(topic, key, problem);
                    return None;
                }
            },
            None => match key.preset {
                Preset::Value(text) => (text.to_owned(), None),
                Preset::InDataDir { prefix, name: file } => {
                    let path = self.data_dir.join(file);
                    let shown = match prefix {
                        SQLITE => sqlite_url(&path),
                        prefix => format!("{prefix}{}", path.display()),
                    };
                    self.effective.push(EffectiveValue::new(&name, Some(shown), None));
                    return None;
                }
                Preset::Unset(_) => {
                    if !key.is_per_topic() {
                        self.effective.push(EffectiveValue::new(&name, None, None));
                    }
                    return None;
                }
            },
        };
        match parse(&text) {
            Ok(value) => {
                self.effective
                    .push(EffectiveValue::new(&name, Some(show(&value)), origin.as_ref()));
                Some(value)
            }
            Err(problem) => {
                self.refuse(topic, key, &problem);
                None
            }
        }
    }
}

/// How the author of the value called the key.
fn written_name(name: &KeyName, origin: &Origin) -> String {
    match origin {
        Origin::Environment => name.variable.clone(),
        Origin::File(file) => format!("{} in {file}", name.path),
    }
}

/// The text of a value, whether TOML calls it a string, a number or, where one is wanted, a boolean.
fn plain_text(value: &Value, form: Form) -> Result<String, &'static str> {
    let text = match value {
        Value::Bool(_, flag) if matches!(form, Form::Flag) => flag.to_string(),
        Value::String(_, text) => text.clone(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), _, _) => number.to_string(),
            (None, Some(number), _) => number.to_string(),
            (None, None, number) => number.unwrap_or(f64::NAN).to_string(),
        },
        Value::Char(_, character) => character.to_string(),
        // A file writes a list as such.
        Value::Array(_, items) if matches!(form, Form::List(_)) => {
            let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            words.ok_or("is a list of something other than texts")?.join(",")
        }
        Value::Bool(..) | Value::Empty(..) | Value::Dict(..) | Value::Array(..) => {
            return Err("is neither a text nor a number");
        }
    };
    if text.trim().is_empty() {
        return Err("is empty; leave it out for the default");
    }
    if text.chars().any(char::is_control) {
        return Err("contains a line break or another control character");
    }
    if text.trim() != text {
        return Err("begins or ends with white space");
    }
    Ok(text)
}

fn parse_count(text: &str, form: Form) -> Result<u64, String> {
    let Form::Count { min, max } = form else {
        return Err("is not a number".to_owned());
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a whole number".to_owned());
    }
    match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(number) => Err(format!("{number} is out of range")),
        Err(_) if text.starts_with('-') => Err("a negative number is out of range".to_owned()),
        Err(_) => Err("the number is out of range".to_owned()),
    }
}

fn parse_span(text: &str, form: Form) -> Result<Duration, String> {
    let Form::Span { min, max } = form else {
        return Err("is not a duration".to_owned());
    };
    match duration::parse(text) {
        Some(span) if (min..=max).contains(&span) => Ok(span),
        Some(span) => Err(format!("{} is out of range", Written(span))),
        None => Err("is not a duration".to_owned()),
    }
}
