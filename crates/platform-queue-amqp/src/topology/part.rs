//! A queue or an exchange as it is declared.

use std::collections::BTreeMap;
use std::fmt;

/// A queue or an exchange as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) kind: PartKind,
    pub(crate) purpose: String,
    pub(crate) arguments: BTreeMap<&'static str, Argument>,
    pub(crate) bindings: Vec<Binding>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    Exchange(ExchangeKind),
    /// Durable, replicated where there are several nodes.
    Queue,
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// Where a part takes messages from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) source: String,
    pub(crate) key: String,
}

impl Part {
    pub(super) fn exchange(name: &str, kind: ExchangeKind, purpose: &str) -> Self {
        Self {
            name: name.into(),
            kind: PartKind::Exchange(kind),
            purpose: purpose.into(),
            arguments: BTreeMap::new(),
            bindings: Vec::new(),
        }
    }

    pub(super) fn queue(name: &str, purpose: &str) -> Self {
        Self {
            name: name.into(),
            kind: PartKind::Queue,
            purpose: purpose.into(),
            arguments: BTreeMap::from([("x-queue-type", Argument::Text("quorum".into()))]),
            bindings: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: Argument) -> Self {
        self.arguments.insert(name, value);
        self
    }

    pub(super) fn bound(mut self, source: &str, key: &str) -> Self {
        self.bindings.push(Binding {
            source: source.into(),
            key: key.into(),
        });
        self
    }

    /// What is passed on stays until the next has it; that demands to refuse rather than to drop.
    pub(super) fn kept_until_taken(self) -> Self {
        self.with("x-dead-letter-strategy", Argument::Text("at-least-once".into()))
            .with("x-overflow", Argument::Text("reject-publish".into()))
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "from {}", self.source),
            key => write!(f, "from {} by {key}", self.source),
        }
    }
}
