//! Runs whose histories become long.

use aftercommit_domain::workflows::WorkflowEnd;
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

use crate::environment::Environment;
use crate::workflows::{Counting, Script, Scripted, ScriptedWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_long_when_its_server_says_so_however_few_its_steps_are() {
    let options = TemporalOptions::default().dynamic_config("limit.historyCount.suggestContinueAsNew", "30");
    let environment = Environment::on(TemporalServer::start(options).await);
    let registry = environment.registry().with_workflow(ScriptedWorkflow::default());
    let registry = registry.unwrap().with_activity(Counting::default()).unwrap();
    let worker = environment.worker(registry).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::CountUntilLong)).await;
    let Some(WorkflowEnd::Completed(count)) = environment.ended(&id).await.end else {
        panic!("it answers how far it came");
    };
    // Six events for each: asked for, begun and done, with the task that follows.
    assert!((4..=6).contains(&count.as_u64().unwrap()), "{count}");
    worker.stop().await;
}
