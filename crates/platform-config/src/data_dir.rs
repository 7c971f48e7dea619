//! `AFTERCOMMIT_DATA_DIR`: where everything lies that no other key places elsewhere.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::path::{Path, PathBuf};

/// The name of the database's file in the data directory.
pub(crate) const DATABASE_FILE: &str = "aftercommit.db";
/// The name of the sealing key's file in the data directory.
pub(crate) const SEALING_KEY_FILE: &str = "sealing.key";

/// The name of the folder of objects in the data directory.
pub(crate) const STORAGE_DIR: &str = "storage";

/// The data directory. Defaults to `.aftercommit` in the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "data_dir",
    Form::Described("the path of a directory"),
    Preset::Value(".aftercommit"),
    "The directory of the database, the sealing key, the e-mails and objects written to files and run.json.",
)
.variable("AFTERCOMMIT_DATA_DIR")];

impl DataDir {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [key] = &KEYS;
        let root = reading.parsed(key, |text| Ok(PathBuf::from(text)), |path| path.display().to_string());
        let root = root.unwrap_or_default();
        reading.place_defaults_in(&root);
        Self(root)
    }

    /// The directory itself. It may not exist yet.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database, unless `DATABASE_URL` names another one.
    pub fn database_file(&self) -> PathBuf {
        self.0.join(DATABASE_FILE)
    }

    /// The folder of e-mails that are written to files.
    pub fn mail_dir(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// The folder of objects, unless `STORAGE_URL` names another one.
    pub fn storage_dir(&self) -> PathBuf {
        self.0.join(STORAGE_DIR)
    }

    /// The sealing key that the process makes for itself.
    pub fn sealing_key_file(&self) -> PathBuf {
        self.0.join(SEALING_KEY_FILE)
    }

    /// Address and token of the running process, for the command line.
    pub fn run_file(&self) -> PathBuf {
        self.0.join("run.json")
    }
}
