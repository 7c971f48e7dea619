//! S3 for tests: a throw-away server of the test process's own.
//!
//! ```no_run
//! # async fn test() {
//! use aftercommit_testkit::s3_server::S3Server;
//!
//! let server = S3Server::shared().await;
//! let bucket = server.bucket().await;
//! // … reach `bucket` at `server.url()`, with any credentials
//! # }
//! ```
//!
//! Its program is the one that `AFTERCOMMIT_TEST_S3_BIN` names, else `moto_server` on the `PATH`: S3 written by others, in
//! memory. It takes any credentials; whether they are good is for a server that answers what a test says.
//!
//! What goes wrong with the server ends the test with a panic that says what to do; a test is never skipped.

mod binary;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::throw_away::secret::secret;
use crate::throw_away::trouble::{Outcome, Trouble, blocking, or_panic};
use process::Process;

/// How long a bucket may take to be made, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that is gone with the test process, also when that is killed.
#[derive(Clone)]
pub struct S3Server {
    process: Arc<Process>,
}

impl S3Server {
    /// The server all tests of this process share, started by the first that asks for it, in about a second. Give each test
    /// a bucket of its own.
    ///
    /// # Panics
    /// There is no server to be had; the message says what to install.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<S3Server> = OnceCell::const_new();

        let started = SHARED.get_or_try_init(|| async {
            let process = blocking(Process::start).await?;
            Ok(Self {
                process: Arc::new(process),
            })
        });
        or_panic(started.await).clone()
    }

    /// Where clients connect: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.process.address())
    }

    /// Makes a bucket that is empty and answers its name.
    ///
    /// # Panics
    /// It could not be made; the message holds what the server said.
    pub async fn bucket(&self) -> String {
        or_panic(self.make_bucket().await)
    }

    async fn make_bucket(&self) -> Outcome<String> {
        let name = secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))?;
        let name = format!("test-{name}");
        let answer = self.request("PUT", &format!("/{name}")).await?;
        if answer.starts_with("HTTP/1.1 200") {
            Ok(name)
        } else {
            Err(Trouble::new(format!("the bucket was not made: {answer}")))
        }
    }

    /// Makes one request without a body, and answers all that comes back, as text: for what a client under test is not to be
    /// asked.
    async fn request(&self, method: &str, path: &str) -> Outcome<String> {
        let failed = || Trouble::while_doing("the server of S3 does not answer");
        let exchange = async {
            let mut stream = TcpStream::connect(self.process.address()).await.map_err(failed())?;
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.map_err(failed())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.map_err(failed())?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| Trouble::new(format!("no answer within {} s", PATIENCE.as_secs())))?
    }
}

impl fmt::Debug for S3Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Server")
            .field("address", &self.process.address())
            .finish_non_exhaustive()
    }
}
