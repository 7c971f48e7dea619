//! Where a database may be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::lock_file::owner_only;
use crate::open_error::OpenError;

/// Filesystems whose locks or shared memory do not hold what SQLite needs of them.
const NETWORK: [&str; 17] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "smb3",
    "smbfs",
];

/// Makes the file and its directory when they are not there, and refuses a place that cannot hold a database. Answers
/// the full path and whether the file holds something.
pub(crate) fn prepare(path: &Path) -> Result<(PathBuf, bool), OpenError> {
    let text = path.to_string_lossy();
    if text.is_empty() || text.contains(":memory:") || text.starts_with("file:") || text.starts_with("sqlite:") {
        return Err(OpenError::InMemory { path: path.to_owned() });
    }
    if path.is_dir() {
        return Err(OpenError::Directory { path: path.to_owned() });
    }
    let inaccessible = |source| OpenError::Inaccessible {
        path: path.to_owned(),
        source,
    };
    let path = std::path::absolute(path).map_err(inaccessible)?;
    if let Some(directory) = path.parent() {
        create_directory(directory).map_err(inaccessible)?;
        refuse_network(directory, &path).map_err(inaccessible)??;
    }
    let file = owner_only().open(&path).map_err(inaccessible)?;
    let holds_something = file.metadata().map_err(inaccessible)?.len() > 0;
    // With links resolved, so that the lock file is beside the file itself.
    let path = fs::canonicalize(&path).map_err(inaccessible)?;
    refuse_network(&path, &path).map_err(|source| OpenError::Inaccessible {
        path: path.clone(),
        source,
    })??;
    Ok((path, holds_something))
}

/// Refuses `database` when `place` is on a network filesystem.
fn refuse_network(place: &Path, database: &Path) -> io::Result<Result<(), OpenError>> {
    let place = fs::canonicalize(place)?;
    Ok(match network_filesystem(&place) {
        Some(filesystem) => Err(OpenError::NetworkFilesystem {
            path: database.to_owned(),
            filesystem,
        }),
        None => Ok(()),
    })
}

fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory)
}

/// The kind of network filesystem `path` is on. `None` when it is on none, or when the system does not tell.
fn network_filesystem(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let filesystem = filesystem_of(path, &mounts)?;
    let is_network = NETWORK.contains(&filesystem) || filesystem.starts_with("nfs");
    is_network.then(|| filesystem.to_owned())
}

/// The kind of the mount that holds `path`: of those whose mount point is a prefix, the longest, and of equal ones the
/// last, which covers the others.
fn filesystem_of<'a>(path: &Path, mounts: &'a str) -> Option<&'a str> {
    mounts
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            // Spaces in a path are written as \040.
            let point = mount.split(' ').nth(4)?.replace("\\040", " ");
            Some((PathBuf::from(point), filesystem.split(' ').next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())
        .map(|(_, filesystem)| filesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
         28 27 0:25 / /srv/team\\040files rw shared:1 - nfs4 server:/export rw,vers=4.2\n\
         29 27 0:26 / /data rw - nfs server:/data rw\n\
         30 27 0:27 / /data rw - xfs /dev/vdb rw\n";

    #[test]
    fn the_mount_that_holds_a_file_is_the_longest_and_last_one() {
        let on = |path: &str| filesystem_of(Path::new(path), MOUNTS);
        assert_eq!(on("/var/lib/x.db"), Some("ext4"));
        assert_eq!(on("/srv/team files/x.db"), Some("nfs4"));
        assert_eq!(on("/srv/team filesystem/x.db"), Some("ext4"));
        assert_eq!(on("/data/x.db"), Some("xfs"));
    }

    #[test]
    fn a_database_in_memory_or_by_url_is_refused() {
        for path in ["", ":memory:", "file:x.db?mode=memory", "sqlite::memory:"] {
            assert!(
                matches!(prepare(Path::new(path)), Err(OpenError::InMemory { .. })),
                "{path:?}"
            );
        }
    }
}
