//! HTTP connections: how many there may be, and for how long one may send nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How long accepting pauses when the process has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// The most at one time; more wait in the listener's backlog.
    pub(crate) connections: usize,
    /// How long a connection may take to send the headers of its next request, the wait between two requests included.
    pub(crate) headers: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            headers: Duration::from_secs(15),
        }
    }
}

/// Serves until `stop`, and then until the requests that came before it are answered. Dropping the future cuts every
/// connection.
pub(crate) async fn serve(listener: TcpListener, app: Router, limits: ConnectionLimits, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    while let Some(stream) = next(&listener, &slots, &mut connections, &stop).await {
        let (stream, slot) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                continue;
            }
        };
        let app = app.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = app.clone().oneshot(request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A client that goes away, is too slow or speaks no HTTP.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

type Accepted = (TcpStream, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it. `None` when serving is over.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Option<std::io::Result<Accepted>> {
    let accepted = async {
        let slot = Arc::clone(slots).acquire_owned().await.map_err(std::io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => Ok((stream, slot)),
            Err(error) => {
                // No sockets left, most likely; trying again at once would spin.
                sleep(ACCEPT_PAUSE).await;
                Err(error)
            }
        }
    };
    tokio::pin!(accepted);
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            accepted = &mut accepted => return Some(accepted),
            // Forgets the ones that ended.
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

    async fn serving(limits: ConnectionLimits, app: Router) -> (std::net::SocketAddr, CancellationToken, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, app, limits, stop.clone()));
        (address, stop, server)
    }

    fn app() -> Router {
        Router::new().route("/", get(async || "here"))
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let read = timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_client_that_sends_no_request_is_cut_off_and_its_place_is_free_again() {
        let limits = ConnectionLimits {
            connections: 1,
            headers: Duration::from_millis(100),
        };
        let (address, _stop, _server) = serving(limits, app()).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut waiting).await.ends_with("here"));
        assert!(!answer(&mut slow).await.contains("200 OK"));
    }

    #[tokio::test]
    async fn more_connections_than_allowed_wait_for_one_to_end() {
        let limits = ConnectionLimits {
            connections: 2,
            ..ConnectionLimits::default()
        };
        let (address, _stop, _server) = serving(limits, app()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        for stream in [&mut first, &mut second] {
            stream.write_all(REQUEST).await.unwrap();
            assert!(answer(stream).await.ends_with("here"));
        }
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(REQUEST).await.unwrap();
        let mut byte = [0; 1];
        let early = timeout(Duration::from_millis(100), third.peek(&mut byte)).await;
        assert!(early.is_err(), "the third is not served yet");
        drop(first);
        assert!(answer(&mut third).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_request_that_runs_when_serving_stops_is_answered() {
        let (entered, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (enter, wait) = (Arc::clone(&entered), Arc::clone(&release));
        let slow = Router::new().route(
            "/",
            get(async move || {
                enter.add_permits(1);
                let _ = wait.acquire().await;
                "late"
            }),
        );
        let (address, stop, mut server) = serving(ConnectionLimits::default(), slow).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        drop(entered.acquire().await.unwrap());
        stop.cancel();
        release.add_permits(1);
        assert!(answer(&mut stream).await.ends_with("late"));
        timeout(SOON, server.join_next()).await.unwrap().unwrap().unwrap();
    }
}
