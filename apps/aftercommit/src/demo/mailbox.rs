//! The e-mails of a demonstration, read from the folder they are written to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use aftercommit::domain::ids::MessageId;

use crate::demo::world::World;

/// The longest e-mail that is read.
const LONGEST: u64 = 256 * 1024;

/// What arrived for the people of one run.
pub(crate) struct Mailbox {
    folders: Vec<PathBuf>,
    /// What their addresses end with.
    suffix: String,
    seen: HashSet<OsString>,
    /// Files by address, those of notifications apart.
    arrived: BTreeMap<String, u32>,
    /// Files by the notification that they are of.
    told: BTreeMap<String, u32>,
    /// Tokens by address that nobody took yet.
    links: HashMap<String, Link>,
}

/// A link in an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// It accepts an invitation.
    Join(String),
    /// It signs in, or up.
    SignIn(String),
}

impl Mailbox {
    pub(crate) fn new(folders: Vec<PathBuf>, suffix: &str) -> Self {
        Self {
            folders,
            suffix: suffix.to_owned(),
            seen: HashSet::new(),
            arrived: BTreeMap::new(),
            told: BTreeMap::new(),
            links: HashMap::new(),
        }
    }

    /// Looks for new files. Blocks on the disk. Folders that are not there are empty.
    pub(crate) fn look(&mut self) {
        let entries = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
        let entries: Vec<fs::DirEntry> = entries.flatten().flatten().collect();
        for entry in entries {
            let name = entry.file_name();
            let is_email = Path::new(&name).extension().is_some_and(|end| end == "eml");
            if !is_email || self.seen.contains(&name) {
                continue;
            }
            let is_short = entry.metadata().is_ok_and(|meta| meta.len() <= LONGEST);
            let text = if is_short {
                fs::read_to_string(entry.path()).unwrap_or_default()
            } else {
                String::new()
            };
            self.seen.insert(name);
            self.take(&text);
        }
    }

    fn take(&mut self, text: &str) {
        let Some(address) = address(text).filter(|address| address.ends_with(&self.suffix)) else {
            return;
        };
        if let Some(notification) = notification(text) {
            *self.told.entry(notification).or_default() += 1;
            return;
        }
        *self.arrived.entry(address.clone()).or_default() += 1;
        if let Some(link) = link(text) {
            self.links.insert(address, link);
        }
    }

    /// Takes the link that was mailed to `address`, if one was.
    pub(crate) fn link_of(&mut self, address: &str) -> Option<Link> {
        self.links.remove(address)
    }

    /// An address with a link that signs in.
    pub(crate) fn any_sign_in(&mut self) -> Option<(String, String)> {
        let found = self.links.iter().find_map(|(address, link)| match link {
            Link::SignIn(token) => Some((address.clone(), token.clone())),
            Link::Join(_) => None,
        })?;
        self.links.remove(&found.0);
        Some(found)
    }

    /// How many e-mails arrived at each address beyond those that were asked for. Of addresses nobody asked for, nothing is
    /// said: it is not known whether their requests were taken.
    pub(crate) fn beyond(&self, world: &World) -> BTreeMap<String, u32> {
        let asked = |address: &str| {
            let links = world.links_asked.get(address).copied();
            let invitations = world.invited.contains_key(address).then_some(1);
            links.into_iter().chain(invitations).reduce(|a, b| a + b)
        };
        let beyond = self.arrived.iter().filter_map(|(address, count)| {
            let extra = count.saturating_sub(asked(address)?);
            (extra > 0).then(|| (address.clone(), extra))
        });
        beyond.collect()
    }

    /// How many e-mails arrived of each notification beyond its one. One that is sent again under its key is the same file.
    pub(crate) fn told_again(&self) -> BTreeMap<String, u32> {
        let again = self.told.iter().filter(|(_, files)| **files > 1);
        again.map(|(id, files)| (id.clone(), files - 1)).collect()
    }

    /// How many of these tasks, which say they have sent an e-mail, left no file.
    pub(crate) fn missing(&self, sent: &BTreeSet<MessageId>) -> u64 {
        let missing = sent
            .iter()
            .filter(|id| !self.seen.contains(&OsString::from(format!("{id}.eml"))));
        u64::try_from(missing.count()).unwrap_or(u64::MAX)
    }

    /// How many e-mails arrived.
    pub(crate) fn count(&self) -> u64 {
        let files = self.arrived.values().chain(self.told.values());
        files.map(|count| u64::from(*count)).sum()
    }
}

fn address(text: &str) -> Option<String> {
    let to = text
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("To: "))?;
    let to = to.trim().trim_end_matches('>');
    Some(to.rsplit('<').next().unwrap_or(to).to_owned())
}

/// The notification that an e-mail is of, as its text says at its end.
fn notification(text: &str) -> Option<String> {
    let text = text.replace("=\r\n", "").replace("=\n", "");
    let (_, rest) = text.split_once("\nNotification ")?;
    let id: String = rest.chars().take(36).collect();
    id.parse::<MessageId>().ok().map(|id| id.to_string())
}

/// The first link, whatever the encoding of the body broke it into.
fn link(text: &str) -> Option<Link> {
    let text = text.replace("=\r\n", "").replace("=\n", "");
    let token = |marker: &str| {
        let (_, rest) = text.split_once(marker)?;
        let token: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        (!token.is_empty()).then_some(token)
    };
    token("/join#")
        .map(Link::Join)
        .or_else(|| token("/sign-in#").map(Link::SignIn))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str =
        "From: a@b\r\nTo: Ada <p1.run@example.com>\r\nSubject: x\r\n\r\nJoin: http://h/join#abc=\r\nDEF123 \r\n";

    #[test]
    fn links_are_found_in_e_mails_of_this_run_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1.eml"), EMAIL).unwrap();
        fs::write(folder.path().join("2.eml"), EMAIL.replace(".run@", ".other@")).unwrap();
        fs::write(folder.path().join(".3.tmp"), EMAIL).unwrap();
        let mut mailbox = Mailbox::new(vec![folder.path().to_owned()], ".run@example.com");
        mailbox.look();
        mailbox.look();
        assert_eq!(mailbox.count(), 1);
        assert_eq!(
            mailbox.link_of("p1.run@example.com"),
            Some(Link::Join("abcDEF123".into()))
        );
        assert_eq!(mailbox.link_of("p1.run@example.com"), None);
        fs::write(folder.path().join("4.eml"), EMAIL).unwrap();
        mailbox.look();
        assert!(mailbox.beyond(&World::default()).is_empty());
        let mut world = World::default();
        world.invited.insert("p1.run@example.com".into(), "7".into());
        assert_eq!(
            mailbox.beyond(&world),
            BTreeMap::from([("p1.run@example.com".into(), 1)])
        );
        world.links_asked.insert("p1.run@example.com".into(), 1);
        assert!(mailbox.beyond(&world).is_empty());
        let id = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap();
        assert_eq!(mailbox.missing(&BTreeSet::from([id])), 1);
        fs::write(folder.path().join(format!("{id}.eml")), EMAIL).unwrap();
        mailbox.look();
        assert_eq!(mailbox.missing(&BTreeSet::from([id])), 0);
    }

    #[test]
    fn a_notification_that_was_mailed_in_two_files_is_found_and_asks_for_nothing_of_its_address() {
        const TOLD: &str =
            "To: p1.run@example.com\r\n\r\nPump\r\nNotification 0192f0c1-7a3b-7c4d-8e5f-0123=\r\n456789ab\r\n";
        let folder = tempfile::tempdir().unwrap();
        let mut mailbox = Mailbox::new(vec![folder.path().to_owned()], ".run@example.com");
        fs::write(folder.path().join("1.eml"), TOLD).unwrap();
        mailbox.look();
        assert!(mailbox.told_again().is_empty() && mailbox.count() == 1);
        fs::write(folder.path().join("2.eml"), TOLD).unwrap();
        mailbox.look();
        let id = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".to_owned();
        assert_eq!(mailbox.told_again(), BTreeMap::from([(id, 1)]));
        let mut world = World::default();
        world.invited.insert("p1.run@example.com".into(), "7".into());
        assert!(mailbox.beyond(&world).is_empty());
    }
}
