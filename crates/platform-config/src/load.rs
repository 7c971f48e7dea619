//! The one place that reads the real environment and the real file.

use crate::{
    amqp::AmqpSettings,
    effective::EffectiveValue,
    error::{ConfigError, ConfigErrors},
    names::{Recognised, is_ours_alone, recognise_variable},
    private_file::{self, PrivateFile, PrivateFileError},
    reading::REDACTED,
    sealing::{SealingSettings, read_sealing_keys},
    settings::Settings,
    table,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The variable that names the file.
pub(crate) const CONFIG_VARIABLE: &str = "AFTERCOMMIT_CONFIG";

/// The file that is read when no variable names another one. It need not exist.
const CONFIG_FILE: &str = "aftercommit.toml";

impl Settings {
    /// Reads the environment of the process, the file, and the file of sealing keys if one is named.
    ///
    /// # Errors
    /// Every problem of all of them, one line each.
    pub fn load() -> Result<Self, ConfigErrors> {
        Self::load_with([])
    }

    /// The same with variables that win over those of the environment: what a command line says.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::load_from(under(std::env::vars_os(), variables), Path::new(""))
    }

    /// `directory` is the working directory; an empty path leaves relative paths as they are.
    pub(crate) fn load_from(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        directory: &Path,
    ) -> Result<Self, ConfigErrors> {
        let (environment, mut problems) = utf8(environment);
        let file = read_file(&environment, directory).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        #[cfg(feature = "failpoints")]
        let failpoints = crate::failpoints::read(&environment);
        let sources = file.as_ref().map(|(path, file)| (path.as_path(), file.text.as_str()));
        let mut settings = match Self::from_sources(environment, sources) {
            Ok(settings) if problems.is_empty() => settings,
            Ok(_) => return Err(ConfigErrors::new(problems)),
            Err(more) => {
                problems.extend_from_slice(more.problems());
                return Err(ConfigErrors::new(problems));
            }
        };
        if let Some((path, file)) = file {
            warn_of_open_file(&mut settings, &path, &file);
        }
        check_named_files(&mut settings)?;
        #[cfg(feature = "failpoints")]
        {
            settings.failpoints = failpoints;
        }
        Ok(settings)
    }
}

/// The environment with these variables instead of its own of the same names.
fn under(
    environment: impl Iterator<Item = (OsString, OsString)>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Vec<(OsString, OsString)> {
    let mut all: BTreeMap<OsString, OsString> = environment.collect();
    all.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    all.into_iter().collect()
}

/// What would fail at the first use of a file fails at the start instead.
fn check_named_files(settings: &mut Settings) -> Result<(), ConfigErrors> {
    let mut problems = Vec::new();
    let mut open_files = Vec::new();
    if let SealingSettings::File(path) = &settings.sealing {
        if let Err(errors) = read_sealing_keys(path) {
            problems.extend_from_slice(errors.problems());
        }
        if private_file::read(path).is_ok_and(|file| file.is_world_readable) {
            open_files.push(open_file_warning(path));
        }
    }
    if let Some(AmqpSettings { certificates, .. }) = &settings.amqp {
        if let Err(errors) = certificates.load() {
            problems.extend_from_slice(errors.problems());
        }
        open_files.extend(certificates.open_key_file().map(open_file_warning));
    }
    if let Some(temporal) = &settings.temporal {
        if let Err(errors) = temporal.load() {
            problems.extend_from_slice(errors.problems());
        }
        open_files.extend(temporal.open_key_file().map(open_file_warning));
    }
    if !problems.is_empty() {
        return Err(ConfigErrors::new(problems));
    }
    settings.warnings.extend(open_files);
    Ok(())
}

/// Variables of others may hold any bytes; only ours must be text.
fn utf8(environment: impl IntoIterator<Item = (OsString, OsString)>) -> (Vec<(String, String)>, Vec<ConfigError>) {
    let mut variables = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) => match recognise_variable(&name) {
                Recognised::NotAKey if !is_ours_alone(&name) => {}
                Recognised::NotAKey | Recognised::Key(_) | Recognised::Unknown(_) => {
                    problems.push(ConfigError::new(&name, "is not UTF-8"));
                }
            },
        }
    }
    (variables, problems)
}

fn read_file(
    environment: &[(String, String)],
    directory: &Path,
) -> Result<Option<(PathBuf, PrivateFile)>, ConfigError> {
    let named = environment
        .iter()
        .find(|(name, _)| name == CONFIG_VARIABLE)
        .map(|(_, path)| path.as_str());
    if named.is_some_and(|path| path.trim().is_empty()) {
        return Err(ConfigError::new(
            CONFIG_VARIABLE,
            "is empty; leave it out for aftercommit.toml",
        ));
    }
    let path = Path::new(named.unwrap_or(CONFIG_FILE));
    match private_file::read(&directory.join(path)) {
        Ok(file) => Ok(Some((path.to_owned(), file))),
        Err(PrivateFileError::Missing) if named.is_none() => Ok(None),
        Err(error) => {
            let key = if named.is_some() { CONFIG_VARIABLE } else { CONFIG_FILE };
            Err(ConfigError::new(key, &error.to_string()).expected("the path of a readable TOML file"))
        }
    }
}

fn warn_of_open_file(settings: &mut Settings, path: &Path, file: &PrivateFile) {
    let source = path.display().to_string();
    let is_secret = |value: &EffectiveValue| {
        table::keys().any(|key| key.secret && key.name("").variable == value.key)
            // A URL without a password is no secret, although one of its kind could hold one.
            && value.value.as_ref().is_some_and(|shown| shown.contains(REDACTED))
    };
    let holds_secret = settings
        .effective_values()
        .iter()
        .any(|value| value.source == source && is_secret(value));
    if holds_secret && file.is_world_readable {
        settings.warnings.push(open_file_warning(path));
    }
}

fn open_file_warning(path: &Path) -> String {
    format!(
        "{} holds secrets and every user of this machine may read it; chmod 600 closes it",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(directory: &Path, pairs: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
        Settings::load_from(pairs.iter().map(|(name, value)| (name.into(), value.into())), directory)
    }

    fn directory_with(name: &str, text: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), text).unwrap();
        directory
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_file_of_the_working_directory_is_read_and_need_not_exist() {
        let directory = directory_with(CONFIG_FILE, "[relay]\nbatch_size = 7\n");
        assert_eq!(load(directory.path(), &[]).unwrap().relay.batch_size, 7);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(load(empty.path(), &[]).unwrap().relay.batch_size, 256);
    }

    #[test]
    fn what_a_command_line_says_wins_over_the_environment() {
        let name = "AFTERCOMMIT_RELAY__BATCH_SIZE";
        let environment = [(name, "7"), ("AFTERCOMMIT_RELAY__LEASE", "9s")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let all = under(environment.into_iter(), [(name.to_owned(), "8".to_owned())]);
        let relay = Settings::load_from(all, tempfile::tempdir().unwrap().path())
            .unwrap()
            .relay;
        assert_eq!((relay.batch_size, relay.lease.as_secs()), (8, 9));
    }

    #[test]
    fn the_named_file_is_read_instead() {
        let directory = directory_with("other.toml", "[relay]\nbatch_size = 8\n");
        std::fs::write(directory.path().join(CONFIG_FILE), "not read").unwrap();
        assert_eq!(
            load(directory.path(), &[(CONFIG_VARIABLE, "other.toml")])
                .unwrap()
                .relay
                .batch_size,
            8
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_together_with_everything_else() {
        let directory = directory_with("bytes.toml", "");
        std::fs::write(directory.path().join("bytes.toml"), b"\xff").unwrap();
        std::fs::write(directory.path().join("long.toml"), "#".repeat(1_048_577)).unwrap();
        let lines = ["", "missing.toml", ".", "bytes.toml", "long.toml"].map(|path| {
            load(directory.path(), &[(CONFIG_VARIABLE, path), ("HTTP_ADDR", "x")])
                .unwrap_err()
                .to_string()
        });
        insta::assert_snapshot!("unreadable_files", lines.join("\n"));
    }

    #[cfg(unix)]
    #[test]
    fn only_our_own_variables_must_be_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let load = |name: &str| {
            let pair = (OsString::from(name), OsString::from_vec(vec![0xff]));
            Settings::load_from([pair], tempfile::tempdir().unwrap().path()).map(|_| ())
        };
        assert_eq!(load("LS_COLORS"), Ok(()));
        for name in ["DATABASE_URL", CONFIG_VARIABLE, "AFTERCOMMIT_NOPE"] {
            assert_eq!(load(name).unwrap_err().to_string(), format!("{name}: is not UTF-8"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_secrets_that_everybody_may_read_is_warned_of() {
        let directory = directory_with(CONFIG_FILE, "[admin]\ntoken = \"0123456789abcdef\"\n");
        let path = directory.path().join(CONFIG_FILE);
        set_mode(&path, 0o644);
        assert_eq!(load(directory.path(), &[]).unwrap().warnings.len(), 1);
        set_mode(&path, 0o600);
        assert!(load(directory.path(), &[]).unwrap().warnings.is_empty());
        std::fs::write(&path, "[relay]\n").unwrap();
        set_mode(&path, 0o644);
        assert!(
            load(directory.path(), &[]).unwrap().warnings.is_empty(),
            "nothing secret in it"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_of_sealing_keys_is_checked_at_once() {
        let directory = directory_with("keys", &format!("new:{0}\nold:{0}\n", "A".repeat(43)));
        let path = directory.path().join("keys");
        let name = path.to_str().unwrap();
        set_mode(&path, 0o644);
        let settings = load(directory.path(), &[("AFTERCOMMIT_SEALING__KEYS_FILE", name)]).unwrap();
        assert_eq!(settings.warnings.len(), 1);
        assert_eq!(read_sealing_keys(&path).unwrap().len(), 2);
        for (text, problem) in [("", "holds no key"), ("canary", "key 1 has no id")] {
            std::fs::write(&path, text).unwrap();
            let line = load(directory.path(), &[("AFTERCOMMIT_SEALING__KEYS_FILE", name)])
                .unwrap_err()
                .to_string();
            assert!(
                line.contains(problem) && !line.contains("canary") && line.lines().count() == 1,
                "{line}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        let line = load(directory.path(), &[("AFTERCOMMIT_SEALING__KEYS_FILE", name)])
            .unwrap_err()
            .to_string();
        assert!(line.contains("does not exist"), "{line}");
    }

    #[cfg(feature = "failpoints")]
    #[test]
    fn what_is_to_happen_at_which_point_comes_from_the_environment_alone() {
        let empty = tempfile::tempdir().unwrap();
        let name = crate::failpoints::FAILPOINTS_VARIABLE;
        let settings = load(empty.path(), &[(name, "relay::after_claim=abort")]).unwrap();
        assert_eq!(settings.failpoints.as_deref(), Some("relay::after_claim=abort"));
        let file = directory_with(CONFIG_FILE, "AFTERCOMMIT_FAILPOINTS = \"relay::after_claim=abort\"\n");
        assert!(load(file.path(), &[]).unwrap_err().to_string().contains("unknown key"));
    }
}
