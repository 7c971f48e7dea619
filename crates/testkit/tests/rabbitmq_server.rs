//! The throw-away broker itself, against real RabbitMQ.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

/// Long enough for an answer that is not held up: what must not come is not waited for longer.
const A_WHILE: Duration = Duration::from_millis(300);

fn address(server: &RabbitMqServer) -> SocketAddr {
    server.address().parse().unwrap()
}

/// Greets the server as a client does; answers what it says within this time.
fn greet(server: &RabbitMqServer, patience: Duration) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address(server)).ok()?;
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").ok()?;
    let mut answer = vec![0; 11];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// The queues of a virtual host, each with `true` when it survives a restart.
async fn queues(server: &RabbitMqServer, vhost: &str) -> String {
    let listed = server.ctl(&["list_queues", "--vhost", vhost, "name", "durable"]).await;
    listed.trim().to_owned()
}

/// Declares a durable queue.
async fn declare(server: &RabbitMqServer, vhost: &str, name: &str) {
    let declare = format!(
        "rabbit_amqqueue:declare(rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"{name}\">>), true, false, [], none, \
         <<\"guest\">>), ok."
    );
    assert_eq!(server.eval(&declare).await.trim(), "ok");
}

fn vhost_of(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

#[tokio::test]
async fn the_shared_server_talks_to_clients_and_gives_each_test_a_virtual_host() {
    let server = RabbitMqServer::shared().await;
    let answer = greet(&server, Duration::from_secs(10)).unwrap();
    assert_eq!(answer[7..], [0, 10, 0, 10]);
    assert_eq!(
        server.url(),
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", server.port())
    );
    let (one, two) = (server.new_vhost().await, server.new_vhost().await);
    let (one, two) = (vhost_of(&one), vhost_of(&two));
    declare(&server, one, "mine").await;
    assert_eq!(queues(&server, one).await, "mine\ttrue");
    assert_eq!(queues(&server, two).await, "");
    let allowed = server.ctl(&["list_permissions", "--vhost", two]).await;
    assert_eq!(allowed.trim(), "guest\t.*\t.*\t.*");
}

#[tokio::test]
#[should_panic(expected = "start one with `RabbitMqServer::start`")]
async fn the_shared_server_cannot_be_killed() {
    RabbitMqServer::shared().await.kill().await;
}

#[tokio::test]
#[should_panic(expected = "start one with `RabbitMqServer::start`")]
async fn the_shared_server_raises_no_alarms() {
    RabbitMqServer::shared().await.memory_alarm(true).await;
}

#[tokio::test]
#[should_panic(expected = "`rabbitmqctl no_such_command` failed")]
async fn a_command_that_fails_ends_the_test_with_what_it_said() {
    RabbitMqServer::shared().await.ctl(&["no_such_command"]).await;
}

#[tokio::test]
async fn what_is_durable_survives_a_kill_and_a_stop_and_the_address_stays() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    declare(&server, "/", "kept").await;
    // A broker tells that a queue is declared before it is on the disk.
    assert_eq!(server.eval("mnesia:sync_log().").await.trim(), "ok");
    let address = server.address();
    server.kill().await;
    assert_eq!(server.pid(), None);
    assert_eq!(greet(&server, A_WHILE), None);
    server.start_again().await;
    assert_eq!(queues(&server, "/").await, "kept\ttrue");
    server.stop_gracefully().await;
    assert_eq!(server.pid(), None);
    server.restart().await;
    assert_eq!(queues(&server, "/").await, "kept\ttrue");
    assert_eq!(server.address(), address);
}

#[tokio::test]
async fn alarms_go_on_and_off_and_a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let alarms = async || {
        server
            .eval("[S || {{resource_limit, S, _}, _} <- rabbit_alarm:get_alarms()].")
            .await
    };
    server.memory_alarm(true).await;
    assert_eq!(alarms().await.trim(), "[memory]");
    server.disk_alarm(true).await;
    server.memory_alarm(false).await;
    assert_eq!(alarms().await.trim(), "[disk]");
    server.disk_alarm(false).await;
    assert_eq!(alarms().await.trim(), "[]");
    server.pause().await;
    assert_eq!(greet(&server, A_WHILE), None);
    server.resume().await;
    assert!(greet(&server, Duration::from_secs(10)).is_some());
}

#[tokio::test]
async fn connections_are_closed_from_the_servers_side() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    server.close_all_connections().await;
    assert!(greet(&server, Duration::from_secs(10)).is_some());
}

#[tokio::test]
async fn two_servers_run_side_by_side_and_leave_nothing_when_they_are_dropped() {
    let options = RabbitMqOptions::default().max_message_size(1000);
    let (one, two) = tokio::join!(
        RabbitMqServer::start(options),
        RabbitMqServer::start(RabbitMqOptions::default())
    );
    let limit = async |server: &RabbitMqServer| {
        let limit = server.eval("application:get_env(rabbit, max_message_size).").await;
        limit.trim().to_owned()
    };
    assert_eq!(limit(&one).await, "{ok,1000}");
    assert_ne!(limit(&two).await, "{ok,1000}");
    two.pause().await;
    for server in [one, two] {
        let (directory, pid, epmd) = (
            server.directory().unwrap(),
            server.pid().unwrap(),
            server.epmd_pid().unwrap(),
        );
        assert!(directory.join("data").exists() && runs(pid) && runs(epmd));
        let address = address(&server);
        drop(server);
        assert!(!directory.exists() && !runs(pid) && !runs(epmd));
        assert!(TcpStream::connect(address).is_err());
    }
}

/// Writes certificates for `localhost` into the server's directory, as Erlang makes them for tests.
async fn certificates(server: &RabbitMqServer) -> [String; 3] {
    let directory = server.directory().unwrap();
    let make = format!(
        "Key = [{{key, {{namedCurve, secp256r1}}}}],
         Chain = #{{root => Key, intermediates => [], peer => Key}},
         #{{server_config := Made}} = public_key:pkix_test_data(#{{server_chain => Chain, client_chain => Chain}}),
         {{KeyType, KeyBytes}} = proplists:get_value(key, Made),
         Entries = [{{'Certificate', proplists:get_value(cert, Made)}}, {{KeyType, KeyBytes}},
                    {{'Certificate', hd(proplists:get_value(cacerts, Made))}}],
         [ok = file:write_file(\"{}/\" ++ Name, public_key:pem_encode([{{Type, Bytes, not_encrypted}}]))
          || {{Name, {{Type, Bytes}}}} <- lists:zip([\"c.pem\", \"k.pem\", \"a.pem\"], Entries)].",
        directory.display()
    );
    server.eval(&make).await;
    ["c.pem", "k.pem", "a.pem"].map(|name| std::fs::read_to_string(directory.join(name)).unwrap())
}

#[tokio::test]
async fn a_tls_listener_shows_its_certificate_and_may_ask_for_the_clients() {
    let shared = RabbitMqServer::shared().await;
    assert_eq!((shared.tls_port(), shared.tls_url()), (None, None));
    let [certificate, key, authorities] = certificates(&shared).await;
    for asks in [false, true] {
        let options = RabbitMqOptions::default();
        let options = if asks {
            options.tls_verify_peer(&certificate, &key, &authorities)
        } else {
            options.tls(&certificate, &key, &authorities)
        };
        let server = RabbitMqServer::start(options).await;
        let port = server.tls_port().unwrap();
        assert_eq!(
            server.tls_url().unwrap(),
            format!("amqps://guest:guest@localhost:{port}/%2f")
        );
        // A client of Erlang that has no certificate; with TLS 1.2 the handshake says whether it needed one.
        let connect = format!(
            "{{Result, _}} = ssl:connect(\"localhost\", {port}, [{{verify, verify_none}}, {{versions, ['tlsv1.2']}}], \
             20000), Result."
        );
        let result = shared.eval(&connect).await;
        assert_eq!(result.trim(), if asks { "error" } else { "ok" });
    }
}

#[tokio::test]
#[should_panic(expected = "no_such_setting")]
async fn a_server_that_does_not_start_says_why() {
    RabbitMqServer::start(RabbitMqOptions::default().setting("no_such_setting", "1")).await;
}

/// The parent kills the process this runs in, so it has no end of its own.
#[tokio::test]
#[ignore = "run by the test of what a killed test process leaves"]
async fn waits_to_be_killed() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    println!(
        "\n{STARTED}{} {} {}",
        server.pid().unwrap(),
        server.epmd_pid().unwrap(),
        server.directory().unwrap().display()
    );
    // One that cannot act on a signal is the harder one to clear up.
    server.pause().await;
    println!("\n{READY}");
    std::future::pending::<()>().await;
}

const STARTED: &str = "started: ";
const READY: &str = "ready";

#[test]
fn a_killed_test_process_leaves_neither_servers_nor_directories() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "waits_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut started = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(server) = line.strip_prefix(STARTED) {
            let words: Vec<&str> = server.splitn(3, ' ').collect();
            let pids: [u32; 2] = [words[0].parse().unwrap(), words[1].parse().unwrap()];
            started = Some((pids, PathBuf::from(words[2])));
        } else if line == READY {
            break;
        }
    }
    let (pids, directory) = started.unwrap();
    assert!(pids.iter().all(|pid| runs(*pid)) && directory.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) || directory.exists() {
        assert!(
            killed.elapsed() < Duration::from_secs(30),
            "{pids:?} or {} are still there",
            directory.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn the_server_of_the_environment_is_used_and_not_controlled() {
    let server = RabbitMqServer::shared().await;
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "says_where_its_server_is", "--ignored", "--nocapture"])
        .env("AFTERCOMMIT_TEST_RABBITMQ_URL", server.url())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{output}");
    assert!(
        output.contains(&format!("{ADDRESS}{} None", server.address())),
        "{output}"
    );
}

#[tokio::test]
#[ignore = "run by the test of the server that the environment names"]
async fn says_where_its_server_is() {
    let server = RabbitMqServer::shared().await;
    println!("\n{ADDRESS}{} {:?}", server.address(), server.pid());
}

const ADDRESS: &str = "address: ";

/// A process that has ended and that nobody has asked about yet does not run either.
fn runs(pid: u32) -> bool {
    let Ok(output) = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
    else {
        panic!("there is no `ps`");
    };
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
