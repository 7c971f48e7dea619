//! One call to the server, bounded, and what came of it.

use std::error::Error;

use aftercommit_domain::contract::RunId;
use futures::future::BoxFuture;
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure;
use temporalio_common::protos::utilities::decode_status_detail;
use tokio::time::{Instant, timeout};
use tonic::{Code, IntoRequest, Request, Response, Status};

use crate::connection::TemporalConnection;
use crate::workflow_metrics;

/// Why a call brought nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such workflow, or it does not run.
    NotFound,
    /// The id is taken, by this run when the server says so.
    AlreadyExists(Option<RunId>),
    /// The server will never take it.
    Invalid(String),
    /// The server is away, overloaded, too slow, or not set up for us; the call may have arrived.
    Unavailable(String),
    /// The server is there, and answered with an error of its own; the call may have arrived.
    Failed(String),
}

/// How the SDK offers a call.
type Method<Req, Resp> = for<'a> fn(&'a mut Client, Request<Req>) -> BoxFuture<'a, Result<Response<Resp>, Status>>;

impl TemporalConnection {
    /// The call, repetitions included, within its time.
    pub(crate) async fn call<Req, Resp>(&self, method: Method<Req, Resp>, request: Req) -> Result<Resp, Refusal> {
        let began = Instant::now();
        let called = timeout(self.config.call_timeout, async {
            let mut client = self
                .client()
                .await
                .map_err(|error| Refusal::Unavailable(error.to_string()))?;
            let answered = method(&mut client, request.into_request()).await;
            answered
                .map(Response::into_inner)
                .map_err(|status| Refusal::of(&status))
        });
        let called = called.await.unwrap_or_else(|_elapsed| {
            Err(Refusal::Unavailable(format!(
                "no answer within {} s",
                self.config.call_timeout.as_secs_f32()
            )))
        });
        workflow_metrics::called::<Req, Resp>(&called, began.elapsed());
        called
    }
}

impl Refusal {
    fn of(status: &Status) -> Self {
        let said = status.message().to_owned();
        match status.code() {
            // Only its words tell it from a workflow that is not there: the details of the two decode as each other.
            Code::NotFound if said.starts_with("Namespace ") => Self::Unavailable(said),
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => {
                let started = decode_status_detail::<WorkflowExecutionAlreadyStartedFailure>(status.details());
                Self::AlreadyExists(started.and_then(|started| RunId::new(started.run_id).ok()))
            }
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid(said),
            // A message that is too long for the server's door has this code too.
            Code::ResourceExhausted if said.contains("larger than max") => Self::Invalid(said),
            // Made here, of a connection that broke: the server said nothing.
            _ if status.source().is_some() => Self::Unavailable(said),
            code @ (Code::Cancelled
            | Code::DeadlineExceeded
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Unavailable
            | Code::Unauthenticated) => Self::Unavailable(format!("{code:?}: {said}")),
            code @ (Code::Ok
            | Code::Unknown
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss) => Self::Failed(format!("{code:?}: {said}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_a_server_that_is_away_overloaded_or_not_set_up_for_us_is_an_outage() {
        let of = |code, said: &str| Refusal::of(&Status::new(code, said));
        for (code, said) in [
            (Code::Unavailable, "away"),
            (Code::DeadlineExceeded, "slow"),
            (Code::PermissionDenied, "key"),
            (Code::Unauthenticated, "key"),
            (Code::ResourceExhausted, "rps limit"),
            (Code::NotFound, "Namespace x is not found."),
        ] {
            assert!(matches!(of(code, said), Refusal::Unavailable(_)), "{code:?}");
        }
        for code in [
            Code::Unknown,
            Code::FailedPrecondition,
            Code::Aborted,
            Code::Unimplemented,
            Code::Internal,
            Code::DataLoss,
        ] {
            let Refusal::Failed(reason) = of(code, "shard 7 is lost") else {
                panic!("{code:?}");
            };
            assert!(reason.ends_with("shard 7 is lost"), "{reason}");
        }
        assert!(matches!(
            of(Code::ResourceExhausted, "message larger than max"),
            Refusal::Invalid(_)
        ));
        assert!(matches!(of(Code::InvalidArgument, "too long"), Refusal::Invalid(_)));
        assert!(matches!(of(Code::NotFound, "workflow not found"), Refusal::NotFound));
        assert!(matches!(of(Code::AlreadyExists, ""), Refusal::AlreadyExists(None)));
    }

    #[test]
    fn a_connection_that_breaks_is_an_outage_whatever_code_stands_for_it() {
        let broken = Status::from_error(Box::new(io::Error::other("broken pipe")));
        assert_eq!(broken.code(), Code::Unknown);
        assert!(matches!(Refusal::of(&broken), Refusal::Unavailable(_)));
    }
}
