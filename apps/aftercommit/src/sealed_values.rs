//! Sealed values as people see them: that they are sealed, and not the ciphertext.

/// Indented JSON with `"‹sealed›"` for each object that holds nothing but a sealed value.
pub(crate) fn hidden(indented: &str) -> String {
    let mut lines: Vec<&str> = indented.lines().collect();
    let mut out: Vec<String> = Vec::with_capacity(lines.len());
    lines.reverse();
    while let Some(line) = lines.pop() {
        let rest = lines.len().checked_sub(2).and_then(|at| lines.get(at..));
        if let (Some(start), Some([end, value])) = (line.strip_suffix('{'), rest)
            && value.trim_start().starts_with("\"sealed\": \"")
            && value.ends_with('"')
            && let Some(end) = end.trim_start().strip_prefix('}')
        {
            out.push(format!("{start}\"‹sealed›\"{end}"));
            lines.truncate(lines.len() - 2);
        } else {
            out.push(line.to_owned());
        }
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indented_json::indented;

    #[test]
    fn a_sealed_value_is_shown_as_sealed_and_nothing_else_is_taken_for_one() {
        let json = r#"{"to":{"sealed":"k:AAAA"},"list":[{"sealed":"k:BBBB"},{"sealed":7},{"sealed":"x","more":1}],"t":"{\"sealed\": \"x\"}","last":{"sealed":"k:CC"}}"#;
        assert_eq!(
            hidden(&indented(json)),
            r#"{
  "to": "‹sealed›",
  "list": [
    "‹sealed›",
    {
      "sealed": 7
    },
    {
      "sealed": "x",
      "more": 1
    }
  ],
  "t": "{\"sealed\": \"x\"}",
  "last": "‹sealed›"
}"#
        );
        assert_eq!(hidden("{}"), "{}");
    }
}
