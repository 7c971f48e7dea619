//! Aligned plain tables.

use unicode_width::UnicodeWidthStr as _;

use crate::printable::{printable, truncated};

/// The widest value of a list; `show` prints it whole.
const WIDEST: usize = 60;
/// The same for the last column, which is where reasons stand.
const WIDEST_LAST: usize = 100;
/// The same for a last column of ids that are typed again: longer than an id of a workflow with its tenant.
const WIDEST_ID: usize = 400;
/// Ample for a failure and its causes, and short of flooding the terminal.
const LONGEST_FIELD: usize = 4_000;

/// Rows under headings. Values are made printable, and cut when they are too wide.
pub(crate) struct Table<const N: usize> {
    headings: [&'static str; N],
    widest_last: usize,
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) const fn new(headings: [&'static str; N]) -> Self {
        Self {
            headings,
            widest_last: WIDEST_LAST,
            rows: Vec::new(),
        }
    }

    /// The last column holds what is given to other commands.
    pub(crate) const fn ending_in_ids(mut self) -> Self {
        self.widest_last = WIDEST_ID;
        self
    }

    pub(crate) fn row(&mut self, values: [&str; N]) {
        let (mut column, last) = (0, self.widest_last);
        self.rows.push(values.map(|value| {
            column += 1;
            truncated(&printable(value), if column == N { last } else { WIDEST })
        }));
    }

    /// The table, or `empty` when it has no rows.
    pub(crate) fn render(&self, empty: &str) -> String {
        if self.rows.is_empty() {
            return format!("{empty}\n");
        }
        let headings = self.headings.map(str::to_owned);
        let lines: Vec<&[String; N]> = std::iter::once(&headings).chain(&self.rows).collect();
        let mut widths = [0; N];
        for line in &lines {
            for (width, value) in widths.iter_mut().zip(line.iter()) {
                *width = value.width().max(*width);
            }
        }
        lines.iter().map(|line| aligned(line.as_slice(), &widths)).collect()
    }
}

/// Names and values below each other, for one thing. Values are made printable and stand on one line each.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    pub(crate) fn add(&mut self, name: &'static str, value: impl AsRef<str>) -> &mut Self {
        self.0
            .push((name, truncated(&printable(value.as_ref()), LONGEST_FIELD)));
        self
    }

    /// Adds it only if there is a value.
    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(value) = value {
            self.add(name, value);
        }
        self
    }

    pub(crate) fn render(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
        self.0
            .iter()
            .map(|(name, value)| aligned(&[(*name).to_owned(), value.clone()], &[width, 0]))
            .collect()
    }
}

fn aligned(values: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (value, width) in values.iter().zip(widths) {
        line.push_str(value);
        // The formatter's own padding counts characters, not columns.
        line.push_str(&" ".repeat(width.saturating_sub(value.width()) + 2));
    }
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_the_terminal_shows() {
        let mut table = Table::new(["ID", "NAME", "STATE"]);
        table.row(["1", "東京", "dead"]);
        table.row(["22", "a", ""]);
        assert_eq!(table.render("none"), "ID  NAME  STATE\n1   東京  dead\n22  a\n");
    }

    #[test]
    fn a_hostile_value_stays_in_its_cell() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["x\u{1b}[31m\nfake  row", "ok"]);
        table.row([&"y".repeat(1_000_000), "ok"]);
        let text = table.render("none");
        assert_eq!(text.lines().count(), 3);
        assert!(
            !text.contains('\u{1b}') && text.lines().all(|line| line.width() <= WIDEST + 9),
            "{text}"
        );
    }

    #[test]
    fn an_id_at_the_end_is_whole() {
        let mut table = Table::new(["STATUS", "ID"]).ending_in_ids();
        let part = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
        let id = format!("{part}/{part}/project-provisioning/{part}");
        table.row(["running", &id]);
        assert!(table.render("none").ends_with(&format!("running  {id}\n")));
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(["A"]).render("no tasks"), "no tasks\n");
    }

    #[test]
    fn fields_are_one_line_each() {
        let mut fields = Fields::default();
        fields
            .add("state", "dead")
            .add_some("reason", Some("a\nb"))
            .add_some("due", None::<&str>);
        assert_eq!(fields.render(), "state   dead\nreason  a\\nb\n");
    }
}
