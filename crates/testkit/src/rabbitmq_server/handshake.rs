//! Whether a server talks to clients yet.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one try may take. A server that is starting refuses at once; one that is stopped by a signal never answers.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a client of AMQP 0-9-1 begins with.
const GREETING: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// Whether it answers a client's greeting by `connection.start`.
pub(super) fn answers(address: SocketAddr) -> bool {
    greet(address).is_ok_and(|answer| is_start(&answer))
}

fn greet(address: SocketAddr) -> io::Result<[u8; 11]> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(GREETING)?;
    let mut answer = [0; 11];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A method (1) on channel 0, of some length, of class 10 (`connection`), number 10 (`start`).
fn is_start(answer: &[u8; 11]) -> bool {
    answer[..3] == [1, 0, 0] && answer[7..] == [0, 10, 0, 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_offers_another_protocol_does_not_answer() {
        assert!(is_start(b"\x01\x00\x00\x00\x00\x01\xff\x00\x0a\x00\x0a"));
        assert!(!is_start(b"AMQP\x00\x01\x00\x00\x00\x00\x00"));
    }
}
