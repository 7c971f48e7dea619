//! One line where a process may be made to die. Without the feature `failpoints` it is nothing.

/// Passes a point: `failpoint!(RELAY_AFTER_CLAIM)`. Where the step can fail, `failpoint!(RELAY_AFTER_CLAIM?)` may end it with
/// an error.
macro_rules! failpoint {
    ($point:ident) => {
        #[cfg(feature = "failpoints")]
        crate::failpoints::pass(crate::failpoints::$point).await;
    };
    ($point:ident ?) => {
        #[cfg(feature = "failpoints")]
        crate::failpoints::try_pass(crate::failpoints::$point).await?;
    };
}
