//! Derives for the contracts of Aftercommit.
