//! Points between the writes of an upload. Only with the feature `failpoints`, which no shipped program has.

/// All of them.
pub const POINTS: &[&str] = &[
    STORAGE_BEFORE_PART,
    STORAGE_AFTER_PART,
    STORAGE_BEFORE_FINISH,
    STORAGE_AFTER_FINISH,
    STORAGE_AFTER_FORGET,
];

/// A part is made, and not kept.
pub(crate) const STORAGE_BEFORE_PART: &str = "storage::before_part";
/// A part is kept, and nobody was told.
pub(crate) const STORAGE_AFTER_PART: &str = "storage::after_part";
/// An object is written, and not there yet.
pub(crate) const STORAGE_BEFORE_FINISH: &str = "storage::before_finish";
/// It is there, and so are its parts.
pub(crate) const STORAGE_AFTER_FINISH: &str = "storage::after_finish";
/// Its parts are gone, and nobody was told.
pub(crate) const STORAGE_AFTER_FORGET: &str = "storage::after_forget";
