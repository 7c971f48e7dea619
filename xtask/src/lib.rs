//! Checks and tests of this workspace
