//! As much of an AMQP client as the tests of the proxy need: it writes frames by hand, so that each is under control.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client(TcpStream);

/// A class of methods and one of them.
pub(crate) type Method = (u16, u16);

pub(crate) const CONNECTION_CLOSE: Method = (10, 50);
pub(crate) const ACK: Method = (60, 80);
pub(crate) const GET_OK: Method = (60, 71);
pub(crate) const GET_EMPTY: Method = (60, 72);

impl Client {
    /// Opens a connection and a channel that confirms, and declares a durable queue.
    pub(crate) async fn connect(address: SocketAddr, queue: &str) -> io::Result<Self> {
        let mut client = Self(TcpStream::connect(address).await?);
        client.0.write_all(b"AMQP\x00\x00\x09\x01").await?;
        client.expect((10, 10)).await?;
        let login = [
            &0_u32.to_be_bytes()[..],
            &short("PLAIN"),
            &12_u32.to_be_bytes(),
            b"\0guest\0guest",
            &short("en_US"),
        ];
        client.call(0, (10, 11), &login.concat()).await?;
        client.expect((10, 30)).await?;
        let tune = [&2047_u16.to_be_bytes()[..], &131_072_u32.to_be_bytes(), &[0, 0]];
        client.call(0, (10, 31), &tune.concat()).await?;
        client
            .call(0, (10, 40), &[short("/"), short(""), vec![0]].concat())
            .await?;
        client.expect((10, 41)).await?;
        client.call(1, (20, 10), &short("")).await?;
        client.expect((20, 11)).await?;
        client.call(1, (85, 10), &[0]).await?;
        client.expect((85, 11)).await?;
        let declare = [vec![0, 0], short(queue), vec![2], vec![0; 4]];
        client.call(1, (50, 10), &declare.concat()).await?;
        client.expect((50, 11)).await?;
        Ok(client)
    }

    async fn call(&mut self, channel: u16, (class, method): Method, arguments: &[u8]) -> io::Result<()> {
        let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
        self.write(1, channel, &payload).await
    }

    async fn write(&mut self, kind: u8, channel: u16, payload: &[u8]) -> io::Result<()> {
        let size = u32::try_from(payload.len()).unwrap();
        let frame = [
            &[kind],
            &channel.to_be_bytes()[..],
            &size.to_be_bytes(),
            payload,
            &[0xce],
        ];
        self.0.write_all(&frame.concat()).await
    }

    async fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await?;
        let [kind, _, _, size @ ..] = head;
        let mut rest = vec![0; usize::try_from(u32::from_be_bytes(size)).unwrap() + 1];
        self.0.read_exact(&mut rest).await?;
        assert_eq!(rest.pop(), Some(0xce));
        Ok((kind, rest))
    }

    /// Reads the next method and its arguments.
    pub(crate) async fn next(&mut self) -> io::Result<(Method, Vec<u8>)> {
        loop {
            let (kind, payload) = self.read().await?;
            if kind == 1 {
                let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
                return Ok(((number(0), number(2)), payload[4..].to_vec()));
            }
        }
    }

    async fn expect(&mut self, method: Method) -> io::Result<Vec<u8>> {
        let (got, arguments) = self.next().await?;
        assert_eq!(got, method, "{}", String::from_utf8_lossy(&arguments));
        Ok(arguments)
    }

    /// Publishes a message of so many bytes, and does not wait for its confirmation.
    pub(crate) async fn publish(&mut self, queue: &str, bytes: usize) -> io::Result<()> {
        self.call(1, (60, 40), &[vec![0, 0], short(""), short(queue), vec![0]].concat())
            .await?;
        let header = [
            &60_u16.to_be_bytes()[..],
            &[0, 0],
            &u64::try_from(bytes).unwrap().to_be_bytes(),
            &[0, 0],
        ];
        self.write(2, 1, &header.concat()).await?;
        self.write(3, 1, &vec![b'x'; bytes]).await
    }

    /// Waits for a confirmation; answers the number of the message.
    pub(crate) async fn confirmed(&mut self) -> io::Result<u64> {
        let arguments = self.expect(ACK).await?;
        Ok(u64::from_be_bytes(arguments[..8].try_into().unwrap()))
    }

    /// Takes a message from a queue, if there is one; answers whether there was.
    pub(crate) async fn get(&mut self, queue: &str) -> io::Result<bool> {
        self.call(1, (60, 70), &[vec![0, 0], short(queue), vec![0]].concat())
            .await?;
        let (method, _) = self.next().await?;
        assert!([GET_OK, GET_EMPTY].contains(&method), "{method:?}");
        Ok(method == GET_OK)
    }

    /// Says that a message was dealt with.
    pub(crate) async fn ack(&mut self, number: u64) -> io::Result<()> {
        self.call(1, ACK, &[&number.to_be_bytes()[..], &[0]].concat()).await
    }
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}
