//! Many processes of the application `ledger-app` on PostgreSQL, what is done to them, and whether their books agree.

mod books;
mod counts;
mod fleet;
mod member;
mod schedule;
mod tables;
mod verdict;

pub use books::Books;
pub use counts::number;
pub use fleet::{Fleet, Production};
pub use member::Loops;
pub use schedule::{Fault, Faults, Schedule};
pub use tables::create_tables;
pub use verdict::Verdict;
