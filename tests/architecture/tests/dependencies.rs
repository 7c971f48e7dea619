//! Who may depend on whom.

use aftercommit_architecture_tests::{Kind, Member, code, member, members, none_of, packages_below, rust_files};
use cargo_metadata::DependencyKind::{Build, Development, Normal};

/// What the domain may use: data types, derives, encodings. Nothing that reads a clock, draws a number or opens a socket.
const PURE: &[&str] = &[
    "aftercommit-domain-macros",
    "async-trait",
    "base64",
    "chrono",
    "chrono-tz",
    "hmac",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "url",
    "uuid",
];

/// What has no business below the domain, however it would get there.
const IMPURE: &[&str] = &[
    "axum",
    "figment",
    "hyper",
    "lapin",
    "lettre",
    "libsqlite3-sys",
    "metrics",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tokio-util",
    "tracing",
];

/// A queue that is tables of a database uses that database's connections.
const QUEUE_IN_A_DATABASE: [&str; 2] = [
    "aftercommit-platform-queue-postgres",
    "aftercommit-platform-db-postgres",
];

/// The direction everything points in.
fn may_depend_on(from: &Member, to: &Member) -> bool {
    use Kind::{
        Adapter, App, Domain, DomainMacros, Example, Facade, Foundation, Host, Outside, Runtime, Testkit, Tooling,
    };
    if [from.name(), to.name()] == QUEUE_IN_A_DATABASE {
        return true;
    }
    match from.kind {
        DomainMacros | Foundation | Tooling => false,
        Domain => to.kind == DomainMacros,
        Runtime | Adapter => to.kind == Domain,
        // An application in memory has the loops of a real one.
        Testkit => matches!(to.kind, Domain | Runtime),
        Facade => matches!(to.kind, Domain | DomainMacros | Runtime | Adapter | Foundation),
        App => matches!(to.kind, Domain | Runtime | Adapter | Foundation | Facade),
        Host => matches!(to.kind, Domain | Runtime | Adapter | Foundation | Facade | App),
        Example => to.kind == Facade,
        Outside => to.kind != Tooling,
    }
}

#[test]
fn packages_depend_in_one_direction_only() {
    let wrong = members().iter().flat_map(|from| {
        from.depends_on(&[Normal, Build])
            .into_iter()
            .filter(|to| !may_depend_on(from, to))
            .map(|to| format!("{} depends on {}", from.name(), to.name()))
    });
    none_of(
        wrong,
        "Dependencies point one way: domain ← runtime, domain ← platform-*, all of them ← aftercommit ← apps. Move what \
         is needed behind a port of the domain, or to the crate that may depend on both:",
    );
}

#[test]
fn nothing_depends_on_an_app_but_the_process_that_hosts_them() {
    let wrong = members()
        .iter()
        .filter(|from| !matches!(from.kind, Kind::Host | Kind::Outside))
        .flat_map(|from| {
            from.depends_on(&[Normal, Build, Development])
                .into_iter()
                .filter(|to| matches!(to.kind, Kind::App | Kind::Host))
                .map(|to| format!("{} depends on {}", from.name(), to.name()))
        });
    none_of(wrong, "An app is an end of the graph. Move what is needed to a crate:");
}

#[test]
fn the_testkit_is_only_a_dev_dependency() {
    let wrong = members()
        .iter()
        .filter(|from| !matches!(from.kind, Kind::Outside | Kind::Example))
        .filter(|from| {
            from.depends_on(&[Normal, Build])
                .iter()
                .any(|to| to.kind == Kind::Testkit)
        })
        .map(Member::name);
    none_of(
        wrong,
        "Fakes do not ship. Put aftercommit-testkit under [dev-dependencies] in:",
    );
}

#[test]
fn the_domain_depends_on_its_derives_and_on_pure_libraries_only() {
    let wrong = member("crates/domain")
        .package
        .dependencies
        .iter()
        .filter(|dependency| matches!(dependency.kind, Normal | Build) && !PURE.contains(&dependency.name.as_str()))
        .map(|dependency| &dependency.name);
    none_of(
        wrong,
        "The domain does no I/O. Make what is needed a port, or, if the library is pure data, add it to PURE in this test:",
    );
}

#[test]
fn nothing_below_the_domain_can_do_io() {
    let wrong = packages_below("aftercommit-domain", &["--all-features"]);
    let wrong = wrong.iter().filter(|name| IMPURE.contains(&name.as_str()));
    none_of(
        wrong,
        "The domain compiles these through a library. Turn off the library's feature that brings them:",
    );
}

#[test]
fn the_api_depends_on_no_effect_adapter() {
    // Not the storage of objects: whoever has a link downloads here. What the API is handed reads and no more, see below.
    let effects = ["aftercommit-platform-email-", "aftercommit-platform-webhook-"];
    let below = packages_below("aftercommit-api", &[]);
    let wrong = below
        .iter()
        .filter(|name| effects.iter().any(|effect| name.starts_with(effect)));
    none_of(
        wrong,
        "A request runs one use case and answers; effects happen in workers. Publish an event instead of acting, and \
         turn off the feature that brings these:",
    );
}

#[test]
fn the_api_only_reads_objects() {
    let wrong = rust_files("apps/api").into_iter().flat_map(|file| {
        let named: Vec<String> = code(&file.text)
            .filter(|(_, line)| line.contains("ObjectStorage") && !line.contains("ObjectStorageError"))
            .filter(|(_, line)| !line.contains("InMemoryObjectStorage"))
            .map(|(number, _)| format!("{}:{number}", file.path))
            .collect();
        named
    });
    none_of(
        wrong,
        "`Downloads` makes links and opens objects; who puts or removes one is a worker or a workflow. Take `Downloads` in:",
    );
}

#[test]
fn the_kit_does_not_turn_on_the_reference_product() {
    let alone = |member: &&Member| member.is_kit() || member.kind == Kind::Example;
    let by_dependency = members().iter().filter(alone).flat_map(|member| {
        member
            .package
            .dependencies
            .iter()
            .filter(|dependency| dependency.features.iter().any(|feature| feature == "reference"))
            .map(|dependency| {
                format!(
                    "{}: [dependencies] {} has it in features",
                    member.name(),
                    dependency.name
                )
            })
    });
    let by_default = members()
        .iter()
        .filter(|member| {
            member
                .package
                .features
                .get("default")
                .is_some_and(|on| on.iter().any(|f| f == "reference"))
        })
        .map(|member| format!("{}: [features] default has it", member.name()));
    none_of(
        by_default.chain(by_dependency),
        "Who adopts the kit does not get the product. Hand the feature on instead: `reference = [\"x/reference\"]`:",
    );
}

#[test]
fn nothing_that_ships_can_be_made_to_die_at_a_point() {
    let ships = |member: &&Member| member.is_kit() || matches!(member.kind, Kind::App | Kind::Host | Kind::Example);
    let mut wrong = Vec::new();
    for member in members().iter().filter(ships) {
        if packages_below(member.name(), &[]).iter().any(|name| name == "fail") {
            wrong.push(member.name());
        }
    }
    none_of(
        wrong,
        "Failpoints are for tests that build with the feature `failpoints`. Take it out of what is on by default in:",
    );
    // The look itself sees it where it is.
    let below = packages_below("aftercommit-cli", &["--features", "failpoints"]);
    assert!(below.iter().any(|name| name == "fail"));
}

#[test]
fn nothing_that_takes_messages_can_decompress_them() {
    // A few bytes that become gigabytes cost nothing where nobody can make them so: a body that says it is compressed is
    // refused by what it says.
    const DECOMPRESSORS: [&str; 8] = [
        "async-compression",
        "brotli",
        "bzip2",
        "flate2",
        "lz4_flex",
        "miniz_oxide",
        "snap",
        "zstd",
    ];
    let queues = [
        "aftercommit-platform-queue-amqp",
        "aftercommit-platform-queue-postgres",
        "aftercommit-platform-embedded-sqlite",
        "aftercommit-runtime",
    ];
    let wrong = queues.iter().flat_map(|queue| {
        let below = packages_below(queue, &["--all-features"]);
        let found = below.into_iter().filter(|name| DECOMPRESSORS.contains(&name.as_str()));
        found.map(move |name| format!("{queue} compiles {name}"))
    });
    none_of(
        wrong,
        "A body is taken as it came. Turn the feature off that brings a decompressor in:",
    );
}
