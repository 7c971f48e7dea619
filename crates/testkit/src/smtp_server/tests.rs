//! The server itself, spoken to by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Sends everything at once and reads until the server closes the connection.
async fn converse(server: &RecordingSmtpServer, lines: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(lines.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn codes(answer: &str) -> Vec<&str> {
    answer
        .lines()
        .filter_map(|line| line.split([' ', '-']).next())
        .collect()
}

const MESSAGE: &str =
    "EHLO x\nMAIL FROM:<a@x.example>\nRCPT TO:<b@x.example>\nDATA\nSubject: Hi\nMessage-ID: <1@x>\n\n..\n.\n";

#[tokio::test]
async fn an_accepted_message_is_kept_with_its_envelope() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let answer = converse(&server, &format!("{MESSAGE}QUIT\n")).await;
    assert_eq!(
        codes(&answer),
        ["220", "250", "250", "250", "250", "250", "354", "250", "221"]
    );
    let [email] = &server.received()[..] else {
        panic!("{:?}", server.received())
    };
    assert_eq!(
        (&*email.from, &*email.to),
        ("a@x.example", &["b@x.example".to_owned()][..])
    );
    assert_eq!((&*email.subject, &*email.message_id), ("Hi", "1@x"));
    assert_eq!(email.text().unwrap(), ".\r\n");
}

#[tokio::test]
async fn a_script_answers_once_and_then_the_server_accepts_again() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(
        SmtpStage::Recipient,
        [SmtpAnswer::reply(451, "4.3.0 not {to}"), SmtpAnswer::Accept],
    );
    let answer = converse(
        &server,
        "EHLO x\nMAIL FROM:<a@x.example>\nRCPT TO:<b@x.example>\nRCPT TO:<c@x.example>\nQUIT\n",
    )
    .await;
    assert!(answer.contains("451 4.3.0 not b@x.example\r\n250 2.1.5"), "{answer}");
    assert_eq!(server.visits(SmtpStage::Recipient), 2);
}

#[tokio::test]
async fn a_lost_reply_keeps_the_message_and_a_disconnect_does_not() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(
        SmtpStage::Message,
        [SmtpAnswer::AcceptAndDisconnect, SmtpAnswer::Disconnect],
    );
    for _ in 0..2 {
        let answer = converse(&server, MESSAGE).await;
        assert_eq!(codes(&answer).last(), Some(&"354"), "{answer}");
        assert_eq!(server.received().len(), 1);
    }
    assert!(server.wait_for_open_connections(0).await);
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let answer = converse(&server, "MAIL FROM:<a@x>\nEHLO x\nRCPT TO:<a@x>\nDATA\nQUIT\n").await;
    assert_eq!(codes(&answer), ["220", "503", "250", "250", "250", "503", "503", "221"]);
}

#[tokio::test]
async fn nothing_is_taken_before_the_right_login() {
    let server = RecordingSmtpServer::start_with_login("name", "pass").await.unwrap();
    let answer = converse(&server, "EHLO x\nMAIL FROM:<a@x>\nAUTH PLAIN AG5hbWUAbm8=\nQUIT\n").await;
    assert!(answer.contains("530 ") && answer.contains("535 "), "{answer}");
    let answer = converse(&server, "EHLO x\nAUTH PLAIN AG5hbWUAcGFzcw==\nMAIL FROM:<a@x>\nQUIT\n").await;
    assert!(answer.contains("235 ") && !answer.contains("530 "), "{answer}");
}

#[tokio::test]
async fn a_dropped_server_closes_its_port_and_its_connections() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let address = server.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    assert!(server.wait_for_visits(SmtpStage::Greeting, 1).await);
    drop(server);
    let mut rest = String::new();
    // The connection ends, whether politely or not.
    let _ended = open.read_to_string(&mut rest).await;
    RecordingSmtpServer::start_on(address).await.unwrap();
}
