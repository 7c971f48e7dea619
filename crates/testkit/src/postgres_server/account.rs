//! Whose processes the server's are.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::throw_away::trouble::{Outcome, Trouble};

/// The account to become, where that of the test will not do: PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account(Option<Ids>);

#[derive(Debug, Clone, Copy)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// That of the test, or, when that is root, `postgres` or `nobody`.
    pub(super) fn to_run_as() -> Outcome<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(Trouble::while_doing("cannot read /etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids_of(name, &accounts))
            .map(|ids| Self(Some(ids)))
            .ok_or_else(|| {
                Trouble::new(
                    "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as: run \
                     the tests as another user",
                )
            })
    }

    /// Makes a command run as this account.
    pub(super) fn apply(self, command: &mut Command) {
        if let Self(Some(ids)) = self {
            command.uid(ids.user).gid(ids.group);
        }
    }

    /// Gives a file or an empty directory to this account.
    pub(super) fn own(self, path: &Path) -> Outcome<()> {
        match self {
            Self(Some(ids)) => chown(path, Some(ids.user), Some(ids.group)).map_err(Trouble::while_doing(&format!(
                "cannot give {} to the user of the server",
                path.display()
            ))),
            Self(None) => Ok(()),
        }
    }
}

fn ids_of(name: &str, accounts: &str) -> Option<Ids> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    match (fields.next()?, fields.next()?) {
        (Ok(user), Ok(group)) => Some(Ids { user, group }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres-old:x:7:7::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        let ids = ids_of("postgres", accounts).unwrap();
        assert_eq!((ids.user, ids.group), (101, 104));
        assert!(ids_of("nobody", accounts).is_none());
    }
}
