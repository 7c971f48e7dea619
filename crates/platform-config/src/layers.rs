//! The sources of the configuration, one above the other: the environment wins over the file.

use crate::{
    error::ConfigError,
    key::KeyName,
    names::{Recognised, recognise_path, recognise_variable, unknown},
};
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use std::{collections::BTreeSet, path::Path};

const ENVIRONMENT: &str = "environment";

/// The merged sources.
pub(crate) struct Layers {
    figment: Figment,
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    /// The file, as it is called in messages.
    File(String),
}

impl Layers {
    /// Merges the sources. The second part of the answer names every key that does not exist or is given twice.
    pub(crate) fn new(
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> (Self, Vec<ConfigError>) {
        let mut problems = Vec::new();
        let mut figment = Figment::new();
        if let Some((path, text)) = file {
            figment = figment.merge(file_layer(&path.display().to_string(), text, &mut problems));
        }
        figment = figment.merge(environment_layer(environment, &mut problems));
        (Self { figment }, problems)
    }

    /// The value of a key and where it was given.
    pub(crate) fn find(&self, name: &KeyName) -> Option<(Value, Origin)> {
        let value = self.figment.find_value(&name.path).ok()?;
        let layer = self
            .figment
            .get_metadata(value.tag())
            .map_or(ENVIRONMENT, |metadata| metadata.name.as_ref());
        let origin = if layer == ENVIRONMENT {
            Origin::Environment
        } else {
            Origin::File(layer.to_owned())
        };
        Some((value, origin))
    }

    /// The topics that have settings of their own, by [`topic_id`](crate::names::topic_id).
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.figment.find_value("topics") {
            Ok(Value::Dict(_, topics)) => topics.into_keys().collect(),
            Ok(_) | Err(_) => Vec::new(),
        }
    }
}

/// One source, its keys already recognised.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn environment_layer(
    environment: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<ConfigError>,
) -> Layer {
    // The environment has no order; messages should have one.
    let variables: std::collections::BTreeMap<_, _> = environment.into_iter().collect();
    let (mut values, mut seen) = (Dict::new(), BTreeSet::new());
    for (variable, value) in variables {
        match recognise_variable(&variable) {
            Recognised::Key(name) if !seen.insert(name.clone()) => {
                problems.push(ConfigError::new(&name.variable, "is given twice under different names"));
            }
            Recognised::Key(name) => insert(&mut values, &name.path, Value::from(value)),
            Recognised::NotAKey => {}
            Recognised::Unknown(suggestion) => problems.push(unknown(&variable, suggestion)),
        }
    }
    Layer {
        name: ENVIRONMENT.to_owned(),
        values,
    }
}

fn file_layer(file: &str, text: &str, problems: &mut Vec<ConfigError>) -> Layer {
    let mut values = Dict::new();
    match Toml::string(text).data() {
        Ok(profiles) => {
            let mut seen = BTreeSet::new();
            for (_, tables) in profiles {
                flatten(
                    &mut Vec::new(),
                    Value::from(tables),
                    &mut |segments, value| match recognise_path(segments, file) {
                        Ok(name) if !seen.insert(name.clone()) => {
                            let key = format!("{} in {file}", name.path);
                            problems.push(ConfigError::new(&key, "is given twice under different names"));
                        }
                        Ok(name) => insert(&mut values, &name.path, value),
                        Err(problem) => problems.push(problem),
                    },
                );
            }
        }
        Err(error) => problems.push(syntax_error(file, &error)),
    }
    Layer {
        name: file.to_owned(),
        values,
    }
}

/// The parser's own message quotes the line, and the line may hold a secret: only the position is passed on.
fn syntax_error(file: &str, error: &figment::Error) -> ConfigError {
    let text = error.to_string();
    let position = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("TOML parse error at "))
        .filter(|position| position.len() < 60)
        .map_or_else(
            || "not valid TOML".to_owned(),
            |position| format!("not valid TOML at {position}"),
        );
    ConfigError::new(file, &position)
        .expected("lines such as http_addr = \"127.0.0.1:9090\" and tables such as [relay]")
}

fn flatten(segments: &mut Vec<String>, value: Value, visit: &mut impl FnMut(&[String], Value)) {
    match value {
        // The parser hands a date out as a table with this key.
        Value::Dict(tag, entries) if entries.contains_key("$__toml_private_datetime") => {
            visit(segments, Value::Dict(tag, entries));
        }
        // An empty table of a section is a section without keys, which a file may well have.
        Value::Dict(_, entries) if !entries.is_empty() || segments.is_empty() || is_section(segments) => {
            for (name, inner) in entries {
                segments.push(name);
                flatten(segments, inner, visit);
                segments.pop();
            }
        }
        leaf => visit(segments, leaf),
    }
}

fn is_section(segments: &[String]) -> bool {
    let start = format!("{}.", segments.join("."));
    crate::table::keys().any(|key| key.path.starts_with(&start))
        || matches!(segments, [section, _] if section == "topics")
}

fn insert(values: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            values.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = values
                .entry(section.to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
