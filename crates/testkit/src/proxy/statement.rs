//! Which statement a rule is about.

/// Recognises a statement by its text, whatever its case. A `&str` is one that it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    how: How,
    /// In lower case.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    StartsWith,
    Contains,
}

impl Statement {
    /// One whose first words these are: `BEGIN` recognises `begin isolation level serializable`, but not `BEGINNING`.
    pub fn starts_with(words: &str) -> Self {
        Self {
            how: How::StartsWith,
            text: words.trim().to_lowercase(),
        }
    }

    /// One that has this anywhere, such as the name of a table.
    pub fn contains(part: &str) -> Self {
        Self {
            how: How::Contains,
            text: part.to_lowercase(),
        }
    }

    pub(super) fn recognises(&self, sql: &str) -> bool {
        let sql = sql.trim_start().to_lowercase();
        match self.how {
            How::Contains => sql.contains(&self.text),
            How::StartsWith => sql
                .strip_prefix(&self.text)
                .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')),
        }
    }
}

impl From<&str> for Statement {
    fn from(words: &str) -> Self {
        Self::starts_with(words)
    }
}

#[cfg(test)]
mod tests {
    use super::Statement;

    #[test]
    fn the_first_words_decide_whatever_their_case() {
        let begin = Statement::from("BEGIN");
        for sql in ["BEGIN", " begin;", "Begin\nread only"] {
            assert!(begin.recognises(sql), "{sql}");
        }
        for sql in ["BEGINNING", "begin_work()", "SELECT 'BEGIN'", ""] {
            assert!(!begin.recognises(sql), "{sql}");
        }
    }

    #[test]
    fn a_part_is_found_anywhere() {
        assert!(Statement::contains("Outbox").recognises("INSERT INTO outbox VALUES (1)"));
        assert!(!Statement::contains("outbox").recognises("INSERT INTO inbox VALUES (1)"));
    }
}
