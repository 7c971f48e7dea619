//! One line where a test may make the process die. Without the feature `failpoints` it is nothing.

/// Passes a point: `failpoint!(STORAGE_AFTER_PART)`.
macro_rules! failpoint {
    ($point:ident) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(crate::failpoints::$point);
    };
}
