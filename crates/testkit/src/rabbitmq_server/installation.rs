//! The files of a server of the test's own, and the programs that use them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::RabbitMqOptions;
use super::binaries::{self, Binaries};
use crate::throw_away::ports::free_port;
use crate::throw_away::secret::secret;
use crate::throw_away::trouble::{Outcome, Trouble};
use crate::throw_away::watcher::LAUNCH;

/// How often a program is looked at that is to end.
const GLANCE: Duration = Duration::from_millis(10);

/// How many lines of a log are shown: what a broker cannot start for comes before long reports of what ended by it.
const LOG_TAIL: usize = 100;

#[derive(Debug)]
pub(super) struct Installation {
    directory: PathBuf,
    binaries: Binaries,
    node: String,
    port: u16,
    tls_port: Option<u16>,
    /// Where other nodes, and the programs that control this one, reach it.
    distribution_port: u16,
    /// Where they ask for that port.
    epmd_port: u16,
}

impl Installation {
    /// That of a server which is to live in this directory. Nothing of the machine's own RabbitMQ or Erlang is used or
    /// changed, other than the programs.
    pub(super) fn at(directory: &Path, options: &RabbitMqOptions) -> Outcome<Self> {
        let cookie = secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))?;
        let installation = Self {
            directory: directory.to_path_buf(),
            binaries: binaries::find()?,
            node: format!("rabbit-{}@localhost", &secret_name()?),
            port: free_port()?,
            tls_port: options.tls.as_ref().map(|_tls| free_port()).transpose()?,
            distribution_port: free_port()?,
            epmd_port: free_port()?,
        };
        fs::create_dir(installation.home()).map_err(Trouble::while_doing("cannot make a directory for the broker"))?;
        installation.write("home/.erlang.cookie", &cookie)?;
        installation.write("enabled_plugins", "[].\n")?;
        if let Some(tls) = &options.tls {
            installation.write("certificate.pem", &tls.certificate)?;
            installation.write("key.pem", &tls.key)?;
            installation.write("authorities.pem", &tls.authorities)?;
        }
        installation.write("rabbitmq.conf", &options.config(installation.settings(options)))?;
        Ok(installation)
    }

    fn settings(&self, options: &RabbitMqOptions) -> Vec<(String, String)> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let mut settings = vec![
            ("listeners.tcp.1", format!("127.0.0.1:{}", self.port)),
            ("loopback_users", "none".to_owned()),
            ("log.console", "false".to_owned()),
            ("log.file", file("server.log")),
            ("log.file.level", "info".to_owned()),
            // The disk of a test machine may be all but full, and that is not what a test is about.
            ("disk_free_limit.absolute", "1MB".to_owned()),
            ("vm_memory_high_watermark.relative", "0.9".to_owned()),
        ];
        if let (Some(tls), Some(port)) = (&options.tls, self.tls_port) {
            let verify = if tls.asks_clients { "verify_peer" } else { "verify_none" };
            settings.extend([
                ("listeners.ssl.1", format!("127.0.0.1:{port}")),
                ("ssl_options.certfile", file("certificate.pem")),
                ("ssl_options.keyfile", file("key.pem")),
                ("ssl_options.cacertfile", file("authorities.pem")),
                ("ssl_options.verify", verify.to_owned()),
                ("ssl_options.fail_if_no_peer_cert", tls.asks_clients.to_string()),
            ]);
        }
        settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(super) fn epmd_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.epmd_port))
    }

    pub(super) const fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// What it has said at its starts, and then what it has logged.
    pub(super) fn log(&self) -> String {
        ["start.log", "server.log"]
            .iter()
            .filter_map(|name| fs::read(self.directory.join(name)).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }

    /// Writes a file only the server can read.
    pub(super) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.directory.join(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Trouble::while_doing(&format!("cannot write {}", path.display())))?;
        Ok(path)
    }

    /// Starts the name service. It does not wait until that answers.
    pub(super) fn launch_epmd(&self) -> Outcome<Child> {
        let port = self.epmd_port.to_string();
        let mark = format!("-port {port}");
        let mut epmd = self.launcher("epmd", &mark, &self.binaries.epmd)?;
        epmd.args(["-port", &port, "-address", "127.0.0.1"]);
        epmd.spawn().map_err(Trouble::while_doing("cannot start `epmd`"))
    }

    /// Starts the server. It does not wait until that answers.
    pub(super) fn launch_server(&self) -> Outcome<Child> {
        let mark = self.directory.display().to_string();
        let mut server = self.launcher("server", &mark, &self.binaries.server)?;
        server
            // The script of the server then becomes the server, so that its process id is the one to send signals to.
            .env("RABBITMQ_ALLOW_INPUT", "true")
            .args(["-noinput", "-directory"])
            .arg(&self.directory);
        server
            .spawn()
            .map_err(Trouble::while_doing("cannot start `rabbitmq-server`"))
    }

    /// A command that the watcher can find by `mark`, which is to be among its arguments.
    fn launcher(&self, name: &str, mark: &str, program: &Path) -> Outcome<Command> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("start.log"))
            .map_err(Trouble::while_doing("cannot write the log of the broker"))?;
        let mut command = self.command(Path::new("/bin/sh"));
        command
            .args(["-c", LAUNCH, "sh"])
            .arg(self.directory.join(format!("{name}.started")))
            .arg(mark)
            .arg(program)
            .stdout(share(&log)?)
            .stderr(log)
            // An interrupt from the keyboard is for the tests.
            .process_group(0);
        Ok(command)
    }

    /// Runs `rabbitmqctl` and answers what it prints, without headers.
    pub(super) fn ctl(&self, arguments: &[String], patience: Duration) -> Outcome<String> {
        let what = format!("`rabbitmqctl {}`", arguments.join(" "));
        let mut output = [temporary()?, temporary()?];
        let mut ctl = self.command(&self.binaries.ctl);
        ctl.arg("--silent")
            .args(arguments)
            .stdout(share(&output[0])?)
            .stderr(share(&output[1])?);
        let mut child = ctl
            .spawn()
            .map_err(Trouble::while_doing("cannot start `rabbitmqctl`"))?;
        let Some(status) = ends_within(&mut child, patience) else {
            // It may have ended meanwhile.
            let _killed = child.kill();
            let _ended = child.wait();
            return Err(Trouble::new(format!(
                "{what} has not ended within {} s",
                patience.as_secs()
            )));
        };
        let said = text_of(&mut output[0])?;
        if status.success() {
            return Ok(said);
        }
        let complaint = text_of(&mut output[1])?;
        Err(Trouble::new(format!("{what} failed ({status}): {said}{complaint}")))
    }

    /// A program that knows this server, and nothing of what the person's own environment says of others.
    fn command(&self, program: &Path) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "which programs a test starts is no configuration of the platform"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.home())
            // Nobody reads one, and it takes time.
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            // Any that is free.
            .env("RABBITMQ_CTL_DIST_PORT_MIN", "0")
            .env("RABBITMQ_CTL_DIST_PORT_MAX", "0")
            .env("RABBITMQ_CTL_ERL_ARGS", LOOPBACK)
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!("{LOOPBACK} {PASSES_ON_AGAIN} +S 2:2"),
            );
        for (variable, name) in [
            ("RABBITMQ_CONF_ENV_FILE", "none.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "none.config"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
            ("RABBITMQ_PID_FILE", "server.pid"),
        ] {
            command.env(variable, self.directory.join(name));
        }
        command
    }
}

/// Nodes listen on the loopback interface alone.
const LOOPBACK: &str = "-kernel inet_dist_use_interface {127,0,0,1}";

/// After a restart a queue may pass on before the other one is there. Servers wait for that one's confirm for three minutes, and
/// no test does.
const PASSES_ON_AGAIN: &str = "-rabbit dead_letter_worker_publisher_confirm_timeout 10000";

/// Waits until a program has ended. `None`: it has not.
pub(super) fn ends_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let asked = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if asked.elapsed() > patience {
            return None;
        }
        sleep(GLANCE);
    }
}

fn secret_name() -> Outcome<String> {
    let mut name = secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))?;
    name.truncate(12);
    Ok(name)
}

fn temporary() -> Outcome<File> {
    tempfile::tempfile().map_err(Trouble::while_doing(
        "cannot make a file for the output of `rabbitmqctl`",
    ))
}

fn share(file: &File) -> Outcome<File> {
    file.try_clone()
        .map_err(Trouble::while_doing("cannot share a file with a program"))
}

fn text_of(file: &mut File) -> Outcome<String> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(Trouble::while_doing("cannot read what `rabbitmqctl` said"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
