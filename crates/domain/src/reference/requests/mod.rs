//! Requests that carried an `Idempotency-Key`: their answers are kept with the change they made, so that asking again
//! changes nothing and is answered the same.

mod answer;
mod request;
mod request_repository;

pub use request::{IdempotentRequest, KeptAnswer};
pub use request_repository::{RequestClaim, RequestRepository};

pub(in crate::reference) use answer::{Answers, Claim};
