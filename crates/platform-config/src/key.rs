//! What the configuration knows about one key: its names, form, default and meaning.

use crate::duration::{self, Written};
use std::time::Duration;

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// The name in `aftercommit.toml`: `relay.batch_size`. `<topic>` stands for any topic.
    pub(crate) path: &'static str,
    /// The environment variable, where it is not the one that follows from the path.
    variable: Option<&'static str>,
    pub(crate) form: Form,
    pub(crate) preset: Preset,
    /// The value is never shown, not even in part.
    pub(crate) secret: bool,
    pub(crate) meaning: &'static str,
}

/// What values a key accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Count {
        min: u64,
        max: u64,
    },
    Span {
        min: Duration,
        max: Duration,
    },
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// Words with commas between them, which a file may also write as a list, and how they are called.
    List(&'static str),
    /// Anything that its own reader accepts, and how that is called.
    Described(&'static str),
}

/// What holds while a key is not given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    Value(&'static str),
    /// A file or folder of the data directory, and the text before its path (a URL scheme).
    InDataDir {
        prefix: &'static str,
        name: &'static str,
    },
    /// No value; the text says what happens then.
    Unset(&'static str),
}

/// Where `<topic>` stands in the path of a topic's key.
pub(crate) const TOPIC: &str = "<topic>";

/// What every environment variable of a section begins with.
pub(crate) const PREFIX: &str = "AFTERCOMMIT_";

impl Key {
    pub(crate) const fn new(path: &'static str, form: Form, preset: Preset, meaning: &'static str) -> Self {
        Self {
            path,
            variable: None,
            form,
            preset,
            secret: false,
            meaning,
        }
    }

    pub(crate) const fn variable(mut self, name: &'static str) -> Self {
        self.variable = Some(name);
        self
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The names under which this key is given. `topic` replaces the placeholder of a topic's key.
    pub(crate) fn name(&self, topic: &str) -> KeyName {
        let path = self.path.replace(TOPIC, topic);
        let variable = self.variable.map_or_else(|| variable_of(&path), str::to_owned);
        KeyName { variable, path }
    }

    /// The names as the reference prints them.
    pub(crate) fn printed_name(&self) -> KeyName {
        let variable = match self.variable {
            Some(name) => name.to_owned(),
            None => variable_of(self.path).replace(&TOPIC.to_ascii_uppercase(), "<TOPIC>"),
        };
        KeyName {
            variable,
            path: self.path.to_owned(),
        }
    }

    /// Whether this key exists once per topic.
    pub(crate) fn is_per_topic(&self) -> bool {
        self.path.contains(TOPIC)
    }
}

fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// The two names of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyName {
    /// In the environment.
    pub(crate) variable: String,
    /// In the file.
    pub(crate) path: String,
}

impl Form {
    pub(crate) const fn seconds(min: u64, max: u64) -> Self {
        Self::Span {
            min: Duration::from_secs(min),
            max: Duration::from_secs(max),
        }
    }

    /// The accepted form as it ends the sentence "expected …".
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Span { min, max } => {
                format!("{}, from {} to {}", duration::ACCEPTED, Written(*min), Written(*max))
            }
            Self::Choice(choices) => format!("one of: {}", choices.join(", ")),
            Self::Flag => "true or false".to_owned(),
            Self::List(text) | Self::Described(text) => (*text).to_owned(),
        }
    }
}

impl Preset {
    /// The default as the reference prints it.
    pub(crate) fn printed(&self) -> String {
        match self {
            Self::Value(value) => (*value).to_owned(),
            Self::InDataDir { prefix, name } => format!("{prefix}<data directory>/{name}"),
            Self::Unset(consequence) => format!("unset: {consequence}"),
        }
    }
}
