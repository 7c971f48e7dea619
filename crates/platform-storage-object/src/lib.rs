//! Keeps objects in a folder, over the `object_store` crate.
//!
//! Parts of an upload are objects of their own under `parts/`, complete objects lie under `objects/`, both below the key
//! of their tenant. So nothing but the key has to be remembered between two steps of an upload, and whatever store the
//! crate reaches can be served the same way.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

#[cfg(feature = "failpoints")]
pub mod failpoints;

mod file_storage;
mod link_secret;
mod objects;

pub use file_storage::{FileObjectStorage, StorageFolderError};
