//! What requests asked workflows for.

use aftercommit_domain::workflows::WorkflowRequest;

use crate::client::Client;

/// What was asked of which workflow since the last call, in order.
pub(crate) async fn requests(client: &Client) -> Vec<(String, String)> {
    let tasks = client.harness.take_tasks().await;
    let asked = tasks.iter().filter_map(|task| WorkflowRequest::from_task(task).ok());
    asked
        .map(|request| match request {
            WorkflowRequest::Start(start) => ("start".to_owned(), start.id.to_string()),
            WorkflowRequest::Signal(signal) => (format!("signal {}", signal.name), signal.id.to_string()),
            other @ WorkflowRequest::SignalWithStart(..) => panic!("nothing else is asked for: {other:?}"),
        })
        .collect()
}
