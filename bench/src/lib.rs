//! Workloads that measure Aftercommit
