//! One connection of the receiver: one request, one answer.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{ReceivedWebhook, ReceiverStep, State};

/// The longest request that is read.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Serves one connection. A client that goes away ends it.
pub(super) async fn run(mut stream: TcpStream, state: &State) {
    let step = state.next_step();
    if step == ReceiverStep::Disconnect {
        return;
    }
    let Ok(webhook) = read(&mut stream).await else {
        return;
    };
    state.read(&webhook);
    // A client that closes early has seen enough of the answer.
    let _ = answer(&mut stream, state, webhook, step).await;
}

async fn answer(stream: &mut TcpStream, state: &State, webhook: ReceivedWebhook, step: ReceiverStep) -> io::Result<()> {
    match step {
        ReceiverStep::Accept => {
            state.keep(webhook);
            stream.write_all(OK).await?;
        }
        ReceiverStep::Refuse { status, headers } => {
            let mut lines = vec![format!("HTTP/1.1 {status} No")];
            lines.extend(headers);
            lines.push("Content-Length: 0\r\nConnection: close\r\n\r\n".into());
            let head = lines.join("\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        ReceiverStep::AcceptWith(bytes) => {
            state.keep(webhook);
            stream.write_all(&bytes).await?;
        }
        ReceiverStep::AcceptEndlessly { first, then, every } => {
            state.keep(webhook);
            stream.write_all(&first).await?;
            loop {
                tokio::time::sleep(every).await;
                stream.write_all(&then).await?;
            }
        }
        ReceiverStep::AcceptAndDisconnect | ReceiverStep::Disconnect => state.keep(webhook),
        ReceiverStep::AcceptAndHang => {
            state.keep(webhook);
            // Returns when the client closes the connection.
            stream.read_u8().await?;
        }
    }
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> io::Result<ReceivedWebhook> {
    let mut bytes = Vec::new();
    loop {
        if let Some(webhook) = parsed(&bytes) {
            return Ok(webhook);
        }
        // Grows by what is there, within the bound below.
        let read = stream.read_buf(&mut bytes).await?;
        if read == 0 || bytes.len() > MAX_REQUEST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The request, once all of it is there.
fn parsed(bytes: &[u8]) -> Option<ReceivedWebhook> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let request_line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let webhook = ReceivedWebhook {
        request_line,
        headers,
        body: body.to_owned(),
    };
    let length: usize = webhook.header("content-length").parse().unwrap_or_default();
    (webhook.body.len() >= length).then_some(webhook)
}
