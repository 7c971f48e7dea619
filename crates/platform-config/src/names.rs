//! From a name that somebody wrote to the key that it means.

use crate::{
    error::ConfigError,
    key::{Key, KeyName, PREFIX, TOPIC},
    load::CONFIG_VARIABLE,
    suggestion::nearest,
    table, temporal,
};

/// What an environment variable is to us.
#[derive(Debug)]
pub(crate) enum Recognised {
    /// It gives this key.
    Key(KeyName),
    /// It belongs to somebody else, or says where the file is.
    NotAKey,
    /// It has our prefix but is no key; this one resembles it.
    Unknown(Option<String>),
}

/// Looks up an environment variable.
pub(crate) fn recognise_variable(name: &str) -> Recognised {
    if let Some(found) = find(|key| key.name("").variable == name) {
        return Recognised::Key(found.name(""));
    }
    if let Some((_, path)) = temporal::ALSO.iter().find(|(also, _)| *also == name)
        && let Some(found) = find(|key| key.path == *path)
    {
        return Recognised::Key(found.name(""));
    }
    if let Some(found) = topic_variable(name) {
        return Recognised::Key(found);
    }
    // A variable in small letters would silently have no effect, so it is treated as a typo.
    let is_ours = name
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    if !is_ours || is_ours_alone(name) {
        return Recognised::NotAKey;
    }
    let wanted = name.to_ascii_uppercase();
    let candidates = table::keys()
        .map(|key| key.name(&topic_in_variable(&wanted)).variable)
        .chain([CONFIG_VARIABLE.to_owned()])
        .filter_map(|variable| variable.strip_prefix(PREFIX).map(str::to_owned));
    let suggestion =
        nearest(wanted.strip_prefix(PREFIX).unwrap_or(&wanted), candidates).map(|rest| format!("{PREFIX}{rest}"));
    Recognised::Unknown(suggestion)
}

/// Whether only the environment can give it, and it is no key.
pub(crate) fn is_ours_alone(name: &str) -> bool {
    #[cfg(feature = "failpoints")]
    if name == crate::failpoints::FAILPOINTS_VARIABLE {
        return true;
    }
    name == CONFIG_VARIABLE
}

/// Looks up a key of the file by the names of its tables and of itself.
///
/// A file may also use the names of the environment at its top level, so that lines can be moved there unchanged.
pub(crate) fn recognise_path(segments: &[String], file: &str) -> Result<KeyName, ConfigError> {
    let path = segments.join(".");
    if let [single] = segments {
        match recognise_variable(&single.to_ascii_uppercase()) {
            Recognised::Key(name) => return Ok(name),
            Recognised::NotAKey if single.eq_ignore_ascii_case(CONFIG_VARIABLE) => {
                return Err(ConfigError::new(
                    &format!("{single} in {file}"),
                    "only the environment can name the file",
                ));
            }
            Recognised::NotAKey => {}
            Recognised::Unknown(suggestion) => return Err(unknown(&format!("{single} in {file}"), suggestion)),
        }
    }
    if let Some(found) = find(|key| key.path == path) {
        return Ok(found.name(""));
    }
    if let [section, topic, field] = segments
        && section == "topics"
        && let Some(key) = table::keys().find(|key| key.path == format!("topics.{TOPIC}.{field}"))
    {
        return Ok(key.name(&topic_id(topic)));
    }
    let topic = match segments {
        [section, topic, _] if section == "topics" => topic.as_str(),
        _ => TOPIC,
    };
    let suggestion = nearest(&path, table::keys().map(|key| key.name(topic).path));
    Err(unknown(&format!("{path} in {file}"), suggestion))
}

/// The form of a topic's name that the environment can carry: `magic-link-email` and `MAGIC_LINK_EMAIL` are the same.
pub(crate) fn topic_id(topic: &str) -> String {
    topic
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

fn find(matches: impl Fn(&Key) -> bool) -> Option<&'static Key> {
    table::keys().find(|key| !key.is_per_topic() && matches(key))
}

fn topic_variable(name: &str) -> Option<KeyName> {
    let (topic, field) = name.strip_prefix(PREFIX)?.strip_prefix("TOPICS__")?.rsplit_once("__")?;
    let is_topic = !topic.is_empty()
        && topic
            .chars()
            .all(|character| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_');
    let key = table::keys().find(|key| key.path == format!("topics.{TOPIC}.{}", field.to_ascii_lowercase()))?;
    (is_topic && field == field.to_ascii_uppercase()).then(|| key.name(topic))
}

/// The topic that a mistyped variable names, so that the suggestion names it too.
fn topic_in_variable(name: &str) -> String {
    name.strip_prefix("AFTERCOMMIT_TOPICS__")
        .and_then(|rest| rest.rsplit_once("__"))
        .filter(|(topic, _)| !topic.is_empty())
        .map_or_else(|| TOPIC.to_owned(), |(topic, _)| topic.to_owned())
}

/// The line about a name that is no key.
pub(crate) fn unknown(name: &str, suggestion: Option<String>) -> ConfigError {
    let problem = match suggestion {
        Some(suggestion) => format!("unknown key, did you mean {suggestion}?"),
        None => "unknown key; `aftercommit config reference` lists all keys".to_owned(),
    };
    ConfigError::new(name, &problem)
}
