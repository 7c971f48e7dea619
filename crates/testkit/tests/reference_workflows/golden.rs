//! Histories of released workflows. A file is written once, when the way a workflow takes is released; later builds must still
//! be able to take it.

use std::path::PathBuf;

use aftercommit_domain::workflows::{StartRequest, WorkflowStarter};
use aftercommit_testkit::WorkflowHistory;

use crate::world::World;

/// Runs the workflow in peace and compares its history with the file, then replays the file.
pub(crate) async fn check_golden(name: &str, world: &World, start: StartRequest) {
    let engine = world.engine();
    let id = start.id.clone();
    engine.start(start).await.unwrap();
    engine.run_to_end(&id).await.unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference_workflows/histories")
        .join(format!("{name}.json"));
    let written = serde_json::to_string_pretty(&engine.history(&id).unwrap()).unwrap();
    if !path.exists() {
        std::fs::write(&path, format!("{written}\n")).unwrap();
        panic!("{} was not there; it is now", path.display());
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, golden.trim_end(), "{}", path.display());
    let history: WorkflowHistory = serde_json::from_str(&golden).unwrap();
    assert_eq!(history.replay(&world.registry()), Ok(()));
}
