//! Names of topics that stand in a value.

use crate::key::Form;

/// A list of topics.
pub(crate) const TOPIC_LIST: Form =
    Form::List("names of topics with commas between them, such as receipts,invitation-email");

/// `Ok` for what can be a topic: whether one of that name is declared is known later.
pub(crate) fn check_topic_name(text: &str) -> Result<(), String> {
    const LONGEST: usize = 120;
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_name =
        text.len() <= LONGEST && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.split('-').all(is_word);
    if is_name {
        Ok(())
    } else {
        Err("has a name that no topic can have".to_owned())
    }
}
