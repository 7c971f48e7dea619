//! A pooler between a test and its server.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::PostgresServer;
use super::account::Account;
use crate::throw_away::ports::free_port;
use crate::throw_away::trouble::{Outcome, Trouble, blocking, or_panic};

/// Names the program to use, before any other.
const VARIABLE: &str = "AFTERCOMMIT_TEST_PGBOUNCER";

/// Where Debian puts it, which is not on everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// How long it may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);

/// Ports are tried when others take the same at the same time.
const TRIES: usize = 5;

/// Ends with the test: also when that is killed, because then nobody holds the other end of its input.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
"$1" "$2/pgbouncer.ini" > "$2/pgbouncer.log" 2>&1 &
pooler=$!
while read -r _; do :; done
kill -INT $pooler
wait $pooler
rm -rf -- "$2"
"#;

/// PgBouncer in front of a server, pooling by transaction. It is gone with the test.
///
/// It is as unkind as it may be: each transaction of a client gets the next of a few server connections, and it takes no
/// parameter of a session that the pooler does not follow itself.
#[derive(Clone)]
pub struct PgBouncer {
    address: SocketAddr,
    _running: Arc<Running>,
}

struct Running {
    child: Child,
    input: Option<ChildStdin>,
}

impl PgBouncer {
    /// The one all tests of this process share, in front of [`PostgresServer::shared`].
    ///
    /// # Panics
    /// It is not installed, or does not start; the message says what to do.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<PgBouncer> = OnceCell::const_new();
        SHARED
            .get_or_init(async || {
                let server = PostgresServer::shared().await;
                Self::start(&server, &[]).await
            })
            .await
            .clone()
    }

    /// One in front of `server`, for its superuser, for the owner of its databases, and for these roles and passwords.
    ///
    /// # Panics
    /// It is not installed, or does not start; the message says what to do.
    pub async fn start(server: &PostgresServer, logins: &[(&str, &str)]) -> Self {
        let own = server.server.logins();
        let others = logins
            .iter()
            .map(|(name, password)| ((*name).to_owned(), (*password).to_owned()));
        let logins: Vec<(String, String)> = own.into_iter().chain(others).collect();
        let upstream = server.address();
        or_panic(blocking(move || start(&upstream, &logins)).await)
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn start(upstream: &str, logins: &[(String, String)]) -> Outcome<PgBouncer> {
    let program = program()?;
    let mut tries = 0;
    loop {
        tries += 1;
        match launch(&program, upstream, logins) {
            Err(_) if tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

fn launch(program: &Path, upstream: &str, logins: &[(String, String)]) -> Outcome<PgBouncer> {
    let account = Account::to_run_as()?;
    let directory = tempfile::Builder::new()
        .prefix("aftercommit-pgbouncer-")
        .tempdir()
        .map_err(Trouble::while_doing("cannot make a directory for PgBouncer"))?;
    let path = directory.path().to_path_buf();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        .map_err(Trouble::while_doing("cannot close the directory of PgBouncer"))?;
    account.own(&path)?;
    let port = free_port()?;
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let users = logins
        .iter()
        .map(|(name, password)| format!("{} {}", quoted(name), quoted(password)));
    let users = users.collect::<Vec<_>>().join("\n") + "\n";
    for (name, text) in [
        ("users.txt", users),
        ("pgbouncer.ini", configuration(&path, upstream, port)),
    ] {
        let file = path.join(name);
        fs::write(&file, text).map_err(Trouble::while_doing("cannot configure PgBouncer"))?;
        account.own(&file)?;
    }
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(program)
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    account.apply(&mut shell);
    let mut child = shell.spawn().map_err(Trouble::while_doing("cannot start /bin/sh"))?;
    // From here on the shell deletes it.
    let _directory = directory.keep();
    let running = Running {
        input: child.stdin.take(),
        child,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let began = Instant::now();
    let log = path.join("pgbouncer.log");
    while TcpStream::connect(address).is_err() {
        let said = tail(&log);
        if began.elapsed() > PATIENCE || said.contains("FATAL") {
            return Err(Trouble::new(format!(
                "PgBouncer does not accept connections; it says:\n{said}"
            )));
        }
        sleep(GLANCE);
    }
    Ok(PgBouncer {
        address,
        _running: Arc::new(running),
    })
}

fn configuration(directory: &Path, upstream: &str, port: u16) -> String {
    let (host, server_port) = upstream.rsplit_once(':').unwrap_or((upstream, "5432"));
    let directory = directory.display();
    format!(
        "[databases]\n\
         * = host={host} port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = plain\n\
         auth_file = {directory}/users.txt\n\
         pool_mode = transaction\n\
         default_pool_size = 4\n\
         server_round_robin = 1\n\
         max_client_conn = 2000\n\
         server_idle_timeout = 5\n\
         log_connections = 0\n\
         log_disconnections = 0\n"
    )
}

fn program() -> Outcome<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which programs a test starts is no configuration of the platform"
    )]
    let (named, path) = (std::env::var_os(VARIABLE), std::env::var_os("PATH").unwrap_or_default());
    if let Some(named) = named {
        return Ok(PathBuf::from(named));
    }
    std::env::split_paths(&path)
        .map(|directory| directory.join("pgbouncer"))
        .chain([PathBuf::from(DEBIAN)])
        .find(|program| program.is_file())
        .ok_or_else(|| {
            Trouble::new(format!(
                "this test needs PgBouncer 1.18 or newer (no running one). Install it (Debian, Ubuntu: `apt-get install \
                 pgbouncer`; macOS: `brew install pgbouncer`), or name the program in {VARIABLE}"
            ))
        })
}

fn tail(log: &Path) -> String {
    let mut text = String::new();
    // It may not be there yet.
    let _ = fs::File::open(log).and_then(|mut file| file.read_to_string(&mut text));
    text
}

impl Drop for Running {
    fn drop(&mut self) {
        self.input = None;
        let _ended = self.child.wait();
    }
}

impl fmt::Debug for PgBouncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgBouncer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
