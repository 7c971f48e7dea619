//! The smallest program on Aftercommit
