//! Signals to the processes of a server.

use std::process::Child;

pub(crate) use rustix::process::{Pid, Signal};

/// Sends a signal. A process that is gone needs none, so that is no error.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    let _delivered_or_gone = rustix::process::kill_process(pid, signal);
}

/// The process of a child that was not waited for yet.
pub(crate) fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
