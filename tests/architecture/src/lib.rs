//! What the tests over the shape of this workspace look at: its packages, its files, its contracts.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot read the workspace fails"
)]

mod contracts;
mod members;
mod sources;
mod verdict;

pub use contracts::{Contract, contracts};
pub use members::{Kind, Member, member, members, packages_below};
pub use sources::{File, code, files, root, rust_files};
pub use verdict::none_of;
