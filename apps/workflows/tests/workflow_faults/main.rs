//! Workers that are killed or stopped, a Temporal that is killed or away, answers that are lost: each export ends once, its
//! file is whole, and nothing else notices.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod away;
mod every_step;
mod lost_answers;
mod program;
mod site;
