//! Structured logs and Prometheus metrics for Aftercommit
