//! One conversation.

use std::convert::Infallible;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{ReceivedEmail, SmtpAnswer, SmtpStage, State};

/// RFC 5321 allows 512 bytes for a command and 1000 for a line of text; a little more shows who exceeds them.
const MAX_LINE: u64 = 4 * 1024;
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Why a conversation ended.
#[derive(Debug)]
pub(super) enum Ended {
    Left,
    Broken,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

struct Session<'a> {
    state: &'a State,
    stream: BufReader<TcpStream>,
    greeted: bool,
    logged_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

/// Answers commands until the client leaves or the connection breaks.
pub(super) async fn run(stream: TcpStream, state: &State) -> Result<Infallible, Ended> {
    let mut session = Session {
        state,
        stream: BufReader::new(stream),
        greeted: false,
        logged_in: state.login.is_none(),
        from: None,
        to: Vec::new(),
    };
    if session.may(SmtpStage::Greeting).await? {
        session.reply(220, "recording ESMTP").await?;
    }
    loop {
        let line = session.line().await?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        session.command(&line).await?;
    }
}

impl Session<'_> {
    async fn command(&mut self, line: &str) -> Result<(), Ended> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => self.hello().await,
            "AUTH" => self.login(rest).await,
            "MAIL" => self.sender(rest).await,
            "RCPT" => self.recipient(rest).await,
            "DATA" => self.data().await,
            "NOOP" => {
                if self.may(SmtpStage::Noop).await? {
                    self.reply(250, "2.0.0 here").await?;
                }
                Ok(())
            }
            "RSET" => {
                self.forget();
                self.reply(250, "2.0.0 forgotten").await
            }
            "QUIT" => {
                self.reply(221, "2.0.0 bye").await?;
                Err(Ended::Left)
            }
            _ => self.reply(500, "5.5.2 no such command").await,
        }
    }

    async fn hello(&mut self) -> Result<(), Ended> {
        if self.may(SmtpStage::Hello).await? {
            self.greeted = true;
            self.forget();
            let extensions = if self.state.login.is_some() {
                "localhost\n8BITMIME\nENHANCEDSTATUSCODES\nAUTH PLAIN"
            } else {
                "localhost\n8BITMIME\nENHANCEDSTATUSCODES"
            };
            self.reply(250, extensions).await?;
        }
        Ok(())
    }

    async fn login(&mut self, rest: &str) -> Result<(), Ended> {
        let Some((name, password)) = &self.state.login else {
            return self.reply(502, "5.5.1 nobody logs in here").await;
        };
        if !self.may(SmtpStage::Login).await? {
            return Ok(());
        }
        let expected = STANDARD.encode(format!("\0{name}\0{password}"));
        if rest.strip_prefix("PLAIN ").is_some_and(|given| given == expected) {
            self.logged_in = true;
            self.reply(235, "2.7.0 welcome").await
        } else {
            self.reply(535, "5.7.8 wrong name or password").await
        }
    }

    async fn sender(&mut self, rest: &str) -> Result<(), Ended> {
        if !self.greeted || self.from.is_some() {
            return self.reply(503, "5.5.1 not now").await;
        }
        if !self.logged_in {
            return self.reply(530, "5.7.0 log in first").await;
        }
        let Some(from) = path(rest, "FROM:") else {
            return self.reply(501, "5.5.4 not a sender").await;
        };
        if self.may(SmtpStage::Sender).await? {
            self.from = Some(from);
            self.reply(250, "2.1.0 ok").await?;
        }
        Ok(())
    }

    async fn recipient(&mut self, rest: &str) -> Result<(), Ended> {
        if self.from.is_none() {
            return self.reply(503, "5.5.1 not now").await;
        }
        let Some(to) = path(rest, "TO:") else {
            return self.reply(501, "5.5.4 not a recipient").await;
        };
        self.to.push(to);
        if self.may(SmtpStage::Recipient).await? {
            self.reply(250, "2.1.5 ok").await
        } else {
            self.to.pop();
            Ok(())
        }
    }

    async fn data(&mut self) -> Result<(), Ended> {
        if self.to.is_empty() {
            return self.reply(503, "5.5.1 not now").await;
        }
        if !self.may(SmtpStage::Data).await? {
            return Ok(());
        }
        self.reply(354, "go on").await?;
        let Some(data) = self.message().await? else {
            self.forget();
            return self.reply(552, "5.3.4 too long").await;
        };
        let email = ReceivedEmail::new(self.from.take().unwrap_or_default(), std::mem::take(&mut self.to), data);
        match self.state.reach(SmtpStage::Message) {
            SmtpAnswer::Accept => {
                self.state.keep(email);
                self.reply(250, "2.0.0 kept").await
            }
            SmtpAnswer::AcceptAndDisconnect => {
                self.state.keep(email);
                Err(Ended::Broken)
            }
            SmtpAnswer::AcceptAndHang => {
                self.state.keep(email);
                self.hang().await
            }
            SmtpAnswer::Reply { code, text } => {
                let text = text.replace("{to}", email.to.last().map_or("", String::as_str));
                self.reply(code, &text).await
            }
            SmtpAnswer::Hang => self.hang().await,
            SmtpAnswer::Disconnect => Err(Ended::Broken),
        }
    }

    /// The message without its final dot; `None` when it is too long, which is known at its end only.
    async fn message(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        let mut data = Vec::new();
        let mut fits = true;
        loop {
            let line = self.line().await?;
            if line == b".\r\n" {
                return Ok(fits.then_some(data));
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            fits = fits && data.len() + line.len() <= MAX_MESSAGE;
            if fits {
                data.extend_from_slice(line);
            }
        }
    }

    /// Whether the server goes on as usual at this stage; otherwise it has already done what the script says.
    async fn may(&mut self, stage: SmtpStage) -> Result<bool, Ended> {
        match self.state.reach(stage) {
            SmtpAnswer::Accept => Ok(true),
            SmtpAnswer::Reply { code, text } => {
                let text = text.replace("{to}", self.to.last().map_or("", String::as_str));
                self.reply(code, &text).await?;
                Ok(false)
            }
            SmtpAnswer::Hang | SmtpAnswer::AcceptAndHang => self.hang().await,
            SmtpAnswer::Disconnect | SmtpAnswer::AcceptAndDisconnect => Err(Ended::Broken),
        }
    }

    /// Answers nothing until the client closes the connection.
    async fn hang<T>(&mut self) -> Result<T, Ended> {
        let mut ignored = [0; 1024];
        while self.stream.read(&mut ignored).await? > 0 {}
        Err(Ended::Left)
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn line(&mut self) -> Result<Vec<u8>, Ended> {
        let mut line = Vec::new();
        let length = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if length > 0 && line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(Ended::Broken)
        }
    }

    async fn reply(&mut self, code: u16, text: &str) -> Result<(), Ended> {
        let code = code.to_string();
        let mut reply = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { "-" } else { " " };
            reply.extend([&*code, separator, line, "\r\n"]);
        }
        self.stream.write_all(reply.as_bytes()).await?;
        Ok(())
    }
}

/// The address in `FROM:<a@b> OPTIONS`.
fn path(rest: &str, keyword: &str) -> Option<String> {
    let start = rest.get(..keyword.len())?;
    let path = rest.get(keyword.len()..)?.trim_start().strip_prefix('<')?;
    let (address, _) = path.split_once('>')?;
    start.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}
