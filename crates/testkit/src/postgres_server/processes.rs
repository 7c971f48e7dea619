//! The processes of a server.

use std::path::Path;
use std::process::Command;

use crate::throw_away::signals::Pid;
use crate::throw_away::trouble::{Outcome, Trouble};

/// The children of a process. Each backend of PostgreSQL leads a process group of its own, so a signal to the server's
/// group would reach the server alone.
pub(super) fn children_of(parent: Pid) -> Outcome<Vec<Pid>> {
    let all = if Path::new("/proc/self/stat").exists() {
        from_proc()?
    } else {
        from_ps()?
    };
    Ok(all
        .into_iter()
        .filter(|(_, its_parent)| *its_parent == parent.as_raw_nonzero().get())
        .filter_map(|(pid, _)| Pid::from_raw(pid))
        .collect())
}

/// Each process with its parent.
fn from_proc() -> Outcome<Vec<(i32, i32)>> {
    let entries = std::fs::read_dir("/proc").map_err(Trouble::while_doing("cannot list the processes"))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // A process that ended meanwhile has no children worth a signal.
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, parent_in_stat(&stat)?))
        })
        .collect())
}

/// The second field after the name, which is in parentheses and may contain anything.
fn parent_in_stat(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn from_ps() -> Outcome<Vec<(i32, i32)>> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .map_err(Trouble::while_doing("cannot list the processes with `ps`"))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_hide_the_parent() {
        assert_eq!(parent_in_stat("7 (a) b (c) S 42 7 7 0"), Some(42));
    }

    #[test]
    fn a_child_is_found_below_its_parent() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let found = children_of(rustix::process::getpid());
        child.kill().unwrap();
        child.wait().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert!(found.unwrap().contains(&pid));
    }
}
