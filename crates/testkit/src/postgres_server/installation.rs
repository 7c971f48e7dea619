//! The files of a server of the test's own, and the programs that use them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::server::SUPERUSER;
use super::{PostgresOptions, binaries};
use crate::throw_away::trouble::{Outcome, Trouble};

#[derive(Debug)]
pub(super) struct Installation {
    directory: PathBuf,
    binaries: PathBuf,
    account: Account,
}

impl Installation {
    /// That of a server which is to live in this directory.
    pub(super) fn at(directory: &Path) -> Outcome<Self> {
        Ok(Self {
            directory: directory.to_path_buf(),
            binaries: binaries::directory()?,
            account: Account::to_run_as()?,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Makes an empty cluster whose superuser has this password.
    pub(super) fn initialize(&self, options: &PostgresOptions, password: &str) -> Outcome<()> {
        // The server's socket is in it, and whoever finds that still needs the password.
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o755))
            .map_err(Trouble::while_doing("cannot open the directory of the test server"))?;
        self.account.own(&self.directory)?;
        let password_file = self.directory.join("password");
        self.write(&password_file, password)?;
        let mut initdb = self.command("initdb");
        initdb
            .arg("--pgdata")
            .arg(self.data())
            .args([
                "--username",
                SUPERUSER,
                "--encoding",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ])
            // A plain password on the loopback interface: secret enough, and it costs a connection next to nothing.
            .args(["--auth", "password", "--pwfile"])
            .arg(&password_file);
        let output = initdb.output().map_err(Trouble::while_doing(&format!(
            "cannot start {}/initdb",
            self.binaries.display()
        )))?;
        if !output.status.success() {
            return Err(Trouble::new(format!(
                "initdb failed ({}): {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        let config = self.data().join("postgresql.conf");
        let lines = format!(
            "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n{}",
            self.directory.display(),
            options.config_lines()
        );
        OpenOptions::new()
            .append(true)
            .open(&config)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(Trouble::while_doing("cannot write postgresql.conf"))?;
        for (name, text) in &options.files {
            self.write(&self.data().join(name), text)?;
        }
        Ok(())
    }

    /// Writes a file only the server can read.
    fn write(&self, path: &Path, text: &str) -> Outcome<()> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Trouble::while_doing(&format!("cannot write {}", path.display())))?;
        self.account.own(path)
    }

    /// A program of PostgreSQL, as the account of the server.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .current_dir(&self.directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        // What the person's own clients use must not reach this server.
        for name in [
            "PGDATA",
            "PGPORT",
            "PGHOST",
            "PGUSER",
            "PGPASSWORD",
            "PGDATABASE",
            "PGOPTIONS",
        ] {
            command.env_remove(name);
        }
        self.account.apply(&mut command);
        command
    }
}
