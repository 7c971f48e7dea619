//! HTTP API of the reference product
