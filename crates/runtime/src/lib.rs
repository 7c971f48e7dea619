//! The loops of Aftercommit over ports: relay, dispatcher, worker, rescuer, lifecycle
