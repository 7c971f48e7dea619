//! Names of topics that stand in a value.

use std::collections::BTreeSet;

/// The topics that these words name: whether such topics are declared is known later.
pub(crate) fn topics_of(words: &[String]) -> Result<BTreeSet<String>, String> {
    if words.iter().all(|word| is_topic_name(word)) {
        Ok(words.iter().cloned().collect())
    } else {
        Err("has a name that no topic can have".to_owned())
    }
}

/// The topics as they are written.
pub(crate) fn written(topics: &BTreeSet<String>) -> String {
    topics.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn is_topic_name(text: &str) -> bool {
    const LONGEST: usize = 120;
    let is_word = |word: &str| {
        let is_character = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !word.is_empty() && word.bytes().all(is_character)
    };
    text.len() <= LONGEST && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.split('-').all(is_word)
}
