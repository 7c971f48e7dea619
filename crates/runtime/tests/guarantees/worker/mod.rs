//! The worker: take, run, settle.

mod consuming;
mod context;
mod failures;
mod inbox;
mod limits;
mod orders;
mod outcomes;
mod reading;
mod settling;
mod suspects;
mod unknown;
