//! The reference product: a small multi-tenant workspace SaaS that uses every rail.
