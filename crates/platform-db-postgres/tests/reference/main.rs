//! PostgreSQL keeps every sentence of the reference product's repository ports, and no tenant sees another.

#![expect(clippy::unwrap_used, reason = "tests")]

mod acts;
mod grants;
mod inbox;
mod isolation;
mod rig;
mod side;
mod sight;
mod statements;

use aftercommit_testkit::reference::conformance::ReferenceStores;

use rig::Rig;

async fn owner() -> (ReferenceStores, Rig) {
    let rig = Rig::owner().await;
    (rig.stores(), rig)
}

async fn application() -> (ReferenceStores, Rig) {
    let rig = Rig::application().await;
    (rig.stores(), rig)
}

async fn application_through_pgbouncer() -> (ReferenceStores, Rig) {
    let rig = Rig::application_through_pgbouncer().await;
    (rig.stores(), rig)
}

mod as_the_owner {
    aftercommit_testkit::reference_store_conformance!(super::owner());
}

mod as_the_application {
    aftercommit_testkit::reference_store_conformance!(super::application());
}

mod as_the_application_through_pgbouncer {
    aftercommit_testkit::reference_store_conformance!(super::application_through_pgbouncer());
}
