//! Conformance suites, stateful fakes and an in-memory provider for Aftercommit and its users
