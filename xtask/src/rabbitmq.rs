//! The programs of RabbitMQ, which the tests start brokers of their own with.

use std::path::Path;

use crate::programs::{Machine, Programs, named};
use crate::step::Problem;

/// Names the directory of programs to use. The tests say so when it is wrong.
const BIN_VARIABLE: &str = "AFTERCOMMIT_TEST_RABBITMQ_BIN";

/// Where Debian and Ubuntu put them.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

const RABBITMQ: Programs = Programs {
    name: "RabbitMQ",
    packages: "rabbitmq-server",
    script: INSTALL,
    installed,
    on_debian: "the tests need the programs of RabbitMQ 3.10 or newer (nothing that runs): \
                `sudo apt-get install --no-install-recommends rabbitmq-server`",
    elsewhere: "the tests need `rabbitmq-server` and `rabbitmqctl` of RabbitMQ 3.10 or newer, and `epmd` of its Erlang, on \
                the PATH (nothing that runs). Install them (Fedora: `dnf install rabbitmq-server`, Arch: `pacman -S \
                rabbitmq`, macOS: `brew install rabbitmq`), or name the directory of the first two in \
                AFTERCOMMIT_TEST_RABBITMQ_BIN",
};

/// The broker shall not run from the next start of the machine on, nor shall the name service of Erlang that comes with it.
const INSTALL: &str = r#"
units=
[ -e /usr/lib/rabbitmq/bin ] || units=rabbitmq-server
[ -e /usr/bin/epmd ] || units="$units epmd.service epmd.socket"
apt-get install --yes --no-install-recommends rabbitmq-server
! command -v systemctl > /dev/null || for unit in $units; do systemctl disable --quiet "$unit" || true; done
"#;

/// Makes sure that the tests find RabbitMQ. `Err` says what to do where it cannot be installed from here.
pub(crate) fn provide() -> Result<(), Problem> {
    RABBITMQ.provide()
}

fn installed(machine: &Machine) -> bool {
    let has_server = named(BIN_VARIABLE).is_some()
        || is_complete(Path::new(DEBIAN))
        || (machine.has("rabbitmq-server") && machine.has("rabbitmqctl"));
    has_server && machine.has("epmd")
}

fn is_complete(directory: &Path) -> bool {
    ["rabbitmq-server", "rabbitmqctl"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_counts_when_both_programs_are_there() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("rabbitmqctl"), "").unwrap();
        assert!(!is_complete(root.path()));
        std::fs::write(root.path().join("rabbitmq-server"), "").unwrap();
        assert!(is_complete(root.path()));
    }
}
