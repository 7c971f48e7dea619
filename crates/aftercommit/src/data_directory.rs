//! The data directory: made before anything is put into it.

use std::fs::DirBuilder;
use std::path::Path;

use crate::startup::StartupError;

/// Makes it, readable by its owner only, unless it is there.
pub(crate) fn create(path: &Path) -> Result<(), StartupError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| StartupError::File {
        path: path.display().to_string(),
        reason: format!(
            "the data directory cannot be created: {error}; set AFTERCOMMIT_DATA_DIR to a place that can be written"
        ),
    })
}
