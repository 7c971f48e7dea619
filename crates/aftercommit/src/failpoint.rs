//! One line where a test may make the process die. Without the feature `failpoints` it is nothing.

/// Passes a point: `failpoint!(SHUTDOWN_AFTER_CLOSE)`.
macro_rules! failpoint {
    ($point:ident) => {
        #[cfg(feature = "failpoints")]
        aftercommit_runtime::failpoints::pass(crate::failpoints::$point).await;
    };
}
