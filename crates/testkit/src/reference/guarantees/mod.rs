mod stores {
    use crate::reference::ReferenceHarness;
    use crate::reference::conformance::ReferenceStores;
    use std::sync::Arc;

    async fn memory() -> (ReferenceStores, ()) {
        let store = ReferenceHarness::new().store;
        let stores = ReferenceStores {
            units: Arc::new(store.clone()),
            reader: Arc::new(store),
        };
        (stores, ())
    }

    crate::reference_store_conformance!(memory());
}
