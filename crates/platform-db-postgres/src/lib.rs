//! Every store port of Aftercommit on PostgreSQL.
