//! End-to-end tests: the real program, its HTTP, its command line, its files and the mail it sends.
//!
//! This library is the harness; the tests are in `tests/*.rs`, one file for each thing that is promised. Every test
//! starts the program that `cargo build` made on a data directory of its own, and ends it with the test.
//!
//! The full run of the kill test, which takes some minutes, is
//! `AFTERCOMMIT_E2E_KILLS=50 cargo test -p aftercommit-e2e --test kills -- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a harness of tests fails by panicking"
)]

mod account;
mod api;
mod binary;
pub mod broker;
mod canary;
mod database;
pub mod demonstration;
mod eventually;
mod figures;
pub mod ledger;
mod mail_ports;
mod product;
mod script;
mod setup;
mod stable_address;
mod token;
pub mod trial;
mod well;

pub use account::Account;
pub use api::{Answer, Api};
pub use binary::Program;
pub use canary::{Canary, Sighting};
pub use database::Database;
pub use eventually::{PATIENCE, eventually};
pub use figures::{Figures, p50};
pub use mail_ports::{RefusingPort, SilentPort};
pub use product::{Product, Stopped};
pub use script::{Language, Script};
pub use setup::Setup;
pub use stable_address::stable_address;
pub use token::Token;
pub use well::assert_well;
