//! Every store port and the queue of Aftercommit on one embedded SQLite file
