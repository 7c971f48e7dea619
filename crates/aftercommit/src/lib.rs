//! The asynchronous backbone of a multi-tenant SaaS: commit, and the rest follows
