//! The programs of PostgreSQL and PgBouncer, which the tests start servers and poolers of their own with.

use std::path::Path;

use crate::programs::{Machine, Programs, named};
use crate::step::Problem;

/// Names the directory of programs to use. The tests say so when it is wrong.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_POSTGRES_BIN";

/// Names the pooler to use.
const POOLER_VARIABLE: &str = "AFTERCOMMIT_TEST_PGBOUNCER";

/// Where Debian and Ubuntu put it.
const DEBIAN_POOLER: &str = "/usr/sbin/pgbouncer";

/// Where Debian and Ubuntu keep one directory for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

const POSTGRES: Programs = Programs {
    name: "PostgreSQL and PgBouncer",
    packages: "postgresql pgbouncer",
    script: INSTALL,
    installed,
    on_debian: "the tests need the programs of PostgreSQL 13 or newer and PgBouncer (nothing that runs): \
                `sudo apt-get install --no-install-recommends postgresql pgbouncer`",
    elsewhere: "the tests need `initdb` and `postgres` of PostgreSQL 13 or newer, and `pgbouncer`, on the PATH (nothing that \
                runs). Install them (Fedora: `dnf install postgresql-server pgbouncer`, Arch: `pacman -S postgresql \
                pgbouncer`, macOS: `brew install postgresql@18 pgbouncer`), or name the directory of the first two in \
                AFTERCOMMIT_TEST_POSTGRES_BIN and the third in AFTERCOMMIT_TEST_PGBOUNCER",
};

/// Debian's would also make a cluster. The configuration is afterwards as it was, or as the packages bring it.
const INSTALL: &str = r#"
config=/etc/postgresql-common/createcluster.conf
before=$(mktemp)
restore_more() {
    if [ -s "$before" ]; then cp -p "$before" "$config"
    # The package has put its own beside ours.
    elif [ -e "$config.ucf-dist" ]; then mv -f "$config.ucf-dist" "$config"
    else rm -f "$config"
    fi
    rm -f "$before"
}
had_pooler=
[ ! -e /usr/sbin/pgbouncer ] || had_pooler=yes
mkdir -p "${config%/*}"
[ ! -e "$config" ] || cp -p "$config" "$before"
echo 'create_main_cluster = false' > "$config"
UCF_FORCE_CONFFOLD=1 apt-get install --yes --no-install-recommends postgresql pgbouncer
# Nor shall it run from the next start of the machine on.
[ -n "$had_pooler" ] || ! command -v systemctl > /dev/null || systemctl disable --quiet pgbouncer || true
"#;

/// Makes sure that the tests find PostgreSQL. `Err` says what to do where it cannot be installed from here.
pub(crate) fn provide() -> Result<(), Problem> {
    POSTGRES.provide()
}

fn installed(machine: &Machine) -> bool {
    let has_server = named(BIN_VARIABLE).is_some()
        || in_versions_of(Path::new(DEBIAN))
        || (machine.has("initdb") && machine.has("postgres"));
    let has_pooler = named(POOLER_VARIABLE).is_some() || Path::new(DEBIAN_POOLER).is_file() || machine.has("pgbouncer");
    has_server && has_pooler
}

fn in_versions_of(debian: &Path) -> bool {
    let Ok(versions) = std::fs::read_dir(debian) else {
        return false;
    };
    versions.flatten().any(|version| {
        let bin = version.path().join("bin");
        bin.join("initdb").is_file() && bin.join("postgres").is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_counts_when_both_programs_are_there() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("15/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("initdb"), "").unwrap();
        assert!(!in_versions_of(root.path()));
        std::fs::write(bin.join("postgres"), "").unwrap();
        assert!(in_versions_of(root.path()));
    }
}
