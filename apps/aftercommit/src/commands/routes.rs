//! `aftercommit routes`

use std::fmt::Write as _;

use serde::Deserialize;

use crate::admin_client::{AdminClient, Answer};
use crate::cli::{Routes, RoutesFormat};
use crate::command_error::CommandError;
use crate::printable::printable;
use crate::table::Table;

pub(crate) async fn execute(client: &AdminClient, arguments: &Routes) -> Result<String, CommandError> {
    let answer = client.get("/routes", &[]).await?;
    let format = if arguments.json {
        RoutesFormat::Json
    } else {
        arguments.format
    };
    match format {
        RoutesFormat::Json => Ok(answer.json()),
        RoutesFormat::Table => read(&answer).map(|routes| table(&routes)),
        RoutesFormat::Mermaid => read(&answer).map(|routes| mermaid(&routes)),
    }
}

fn read(answer: &Answer) -> Result<Vec<Route>, CommandError> {
    answer.read::<List>().map(|list| list.routes)
}

fn table(routes: &[Route]) -> String {
    let mut table = Table::new(["EVENT", "WHAT FOLLOWS"]);
    for Route { event, effect } in routes {
        match effect {
            Effect::Dispatches(targets) => {
                for target in targets {
                    table.row([event, &target.to_string()]);
                }
            }
            Effect::None(reason) => table.row([event, &format!("nothing: {reason}")]),
        }
    }
    table.render("no routes")
}

/// Mermaid reads quotes as the end of a label, so they are written as entities.
fn mermaid(routes: &[Route]) -> String {
    let label = |text: &str| printable(text).replace('"', "#quot;");
    let mut targets: Vec<String> = Vec::new();
    let mut chart = String::from("flowchart LR\n");
    for (at, Route { event, effect }) in routes.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(chart, "  event{at}([\"{}\"])", label(event));
        match effect {
            Effect::Dispatches(dispatches) => {
                for target in dispatches {
                    let name = target.to_string();
                    let known = targets.iter().position(|known| *known == name);
                    let number = known.unwrap_or(targets.len());
                    let _ = writeln!(chart, "  event{at} --> task{number}[\"{}\"]", label(&name));
                    if known.is_none() {
                        targets.push(name);
                    }
                }
            }
            Effect::None(reason) => {
                let _ = writeln!(chart, "  event{at} -.- none{at}>\"{}\"]", label(reason));
            }
        }
    }
    chart
}

#[derive(Deserialize)]
struct List {
    routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Route {
    event: String,
    #[serde(flatten)]
    effect: Effect,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Dispatches(Vec<Target>),
    None(String),
}

#[derive(Deserialize)]
struct Target {
    topic: String,
    task: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<Route> {
        let json = r#"{"routes": [
            {"event": "A", "dispatches": [{"topic": "t", "task": "one"}, {"topic": "t", "task": "two"}]},
            {"event": "B", "dispatches": [{"topic": "t", "task": "one"}]},
            {"event": "C", "none": "only \"analytics\""}
        ], "events": [], "tasks": []}"#;
        serde_json::from_str::<List>(json).unwrap().routes
    }

    #[test]
    fn the_table_has_one_row_for_each_thing_that_follows() {
        assert_eq!(
            table(&routes()),
            "EVENT  WHAT FOLLOWS\nA      t/one\nA      t/two\nB      t/one\nC      nothing: only \"analytics\"\n"
        );
    }

    #[test]
    fn the_chart_draws_a_task_once() {
        assert_eq!(
            mermaid(&routes()),
            "flowchart LR\n  event0([\"A\"])\n  event0 --> task0[\"t/one\"]\n  event0 --> task1[\"t/two\"]\n  \
             event1([\"B\"])\n  event1 --> task0[\"t/one\"]\n  event2([\"C\"])\n  \
             event2 -.- none2>\"only #quot;analytics#quot;\"]\n"
        );
    }
}
