//! An application served inside a program with a `main` of its own.

use std::time::Duration;

use aftercommit_platform_telemetry::MetricsHandle;
use aftercommit_runtime::lifecycle::StopOutcome;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http;
use crate::http::connections::{self, ConnectionLimits};
use crate::kit::{Kit, reachable};
use crate::opened::Opened;
use crate::serve::{self, Announced};
use crate::startup::StartupError;
use crate::workflows::Working;

/// How long open HTTP requests may take at the end.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// An application at work, with its HTTP server. The command line finds it as it finds one that runs alone.
#[must_use = "it runs until it is stopped"]
pub struct Served {
    kit: Kit,
    working: Working,
    announced: Announced,
    close_http: CancellationToken,
    server: JoinSet<()>,
}

impl Served {
    pub(crate) async fn start(
        opened: Opened,
        listener: TcpListener,
        metrics: MetricsHandle,
    ) -> Result<Self, StartupError> {
        let announced = match serve::announce(&opened.kit) {
            Ok(announced) => announced,
            Err(error) => {
                opened.kit.close().await;
                return Err(error);
            }
        };
        let Opened {
            kit,
            engine,
            hosted,
            operations,
            router,
            ..
        } = opened;
        let app = http::router(operations, metrics, announced.token.clone()).fallback_service(router);
        let working = Working::start(engine, hosted, &kit);
        let close_http = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(connections::serve(
            listener,
            app,
            ConnectionLimits::default(),
            close_http.clone(),
        ));
        Ok(Self {
            kit,
            working,
            announced,
            close_http,
            server,
        })
    }

    /// The kit.
    pub const fn kit(&self) -> &Kit {
        &self.kit
    }

    /// Where it answers: `http://127.0.0.1:9090`.
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.kit.settings().http_addr))
    }

    /// Stops in stages, as long as the settings' `shutdown` allows. Answers how it went.
    pub async fn stop(mut self) -> StopOutcome {
        let outcome = self.working.stop().await;
        self.close_http.cancel();
        if tokio::time::timeout(HTTP_GRACE, self.server.join_next()).await.is_err() {
            tracing::warn!("open HTTP requests were cut off");
        }
        drop(self.server);
        // Before the database is free for a successor, whose run file this must not take.
        drop(self.announced);
        self.kit.close().await;
        outcome
    }
}
