//! Keeps objects in a folder or in a bucket of S3, over the `object_store` crate.
//!
//! Parts of an upload are objects of their own under `parts/`, complete objects lie under `objects/`, both below the key
//! of their tenant. So nothing but the key has to be remembered between two steps of an upload, and whatever store the
//! crate reaches can be served the same way.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

#[cfg(feature = "failpoints")]
pub mod failpoints;

mod failure;
mod file_storage;
mod http_client;
mod link_secret;
mod objects;
mod s3_storage;

pub use file_storage::{FileObjectStorage, StorageFolderError};
pub use s3_storage::{S3Bucket, S3BucketError, S3ObjectStorage};
