//! The events and tasks that the sources declare, found by reading them, so that a forgotten registration shows.

use crate::sources::{code, rust_files};

/// An event or a task as it is declared.
pub struct Contract {
    /// The struct.
    pub type_name: String,
    /// `None` for an event.
    pub topic: Option<String>,
    /// Its wire name.
    pub name: String,
    /// Its newest version.
    pub version: u16,
    /// Where it is declared.
    pub path: String,
    /// Whether `#[exempt(…)]` stands next to it.
    pub is_exempt: bool,
}

impl Contract {
    /// `ProjectCreated` or `projects/provision`.
    pub fn wire_name(&self) -> String {
        self.topic
            .as_ref()
            .map_or_else(|| self.name.clone(), |topic| format!("{topic}/{}", self.name))
    }

    /// The file that pins its newest version.
    pub fn golden_file(&self) -> String {
        let name = self.wire_name().replace('/', ".");
        format!("crates/domain/tests/golden/reference/{name}.v{}.json", self.version)
    }
}

/// The contracts declared below `folder`, outside comments, with `#[event(…)]` or `#[task(…)]`.
pub fn contracts(folder: &str) -> Vec<Contract> {
    rust_files(folder)
        .iter()
        .flat_map(|file| declared_in(&file.path, &file.text))
        .collect()
}

fn declared_in(path: &str, text: &str) -> Vec<Contract> {
    let text: Vec<&str> = code(text).map(|(_, line)| line.trim()).collect();
    let text = text.join(" ");
    // The attributes of a contract are what stands between its derives and `struct Name`.
    let mut contracts = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("struct ") {
        let type_name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let attributes = before.rfind("#[derive(").map_or("", |at| &before[at..]);
        if let Some((topic, arguments)) = declaration(attributes)
            && let (Some(name), Some(version)) = (argument(arguments, "name"), argument(arguments, "version"))
        {
            contracts.push(Contract {
                type_name,
                topic,
                name: name.to_owned(),
                version: version.parse().expect("a version is a number"),
                path: path.to_owned(),
                is_exempt: attributes.contains("#[exempt("),
            });
        }
        rest = after;
    }
    contracts
}

/// The topic, if it is a task, and the arguments of the attribute.
fn declaration(attributes: &str) -> Option<(Option<String>, &str)> {
    if let Some((_, arguments)) = attributes.split_once("#[event(") {
        return Some((None, arguments));
    }
    let (_, arguments) = attributes.split_once("#[task(")?;
    Some((Some(argument(arguments, "topic")?.to_owned()), arguments))
}

/// The value of `key = "value"` or `key = value`.
fn argument<'a>(arguments: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = arguments.split_once(&format!("{key} = "))?;
    match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => after.split([',', ')']).next().map(str::trim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        /// A comment with #[event(name = "Commented", version = 9)] struct Commented
        #[derive(DomainEvent)]
        #[event(name = "InvitationCreated", version = 2, aggregate = "invitation")]
        pub struct InvitationCreated { pub id: i64 }

        pub struct Entity;

        #[derive(Task)]
        #[task(
            topic = "records",
            name = "purge",
            version = 1,
        )]
        #[exempt(system, "why; and why not")]
        pub(crate) struct Purge {}
    "#;

    #[test]
    fn contracts_are_found_with_their_names_versions_and_exemptions() {
        let found: Vec<_> = declared_in("x.rs", SOURCE)
            .iter()
            .map(|contract| {
                (
                    contract.type_name.clone(),
                    contract.wire_name(),
                    contract.version,
                    contract.is_exempt,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("InvitationCreated".to_owned(), "InvitationCreated".to_owned(), 2, false),
                ("Purge".to_owned(), "records/purge".to_owned(), 1, true),
            ]
        );
    }
}
