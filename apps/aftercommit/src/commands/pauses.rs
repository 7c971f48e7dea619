//! `aftercommit pause`, `resume` and `pauses`

use aftercommit::domain::tasks::{Pause, PauseTarget};
use aftercommit::domain::time::{Clock as _, Timestamp, after};
use aftercommit::runtime::system::SystemClock;
use serde::{Deserialize, Serialize};

use super::rendered;
use crate::admin_client::AdminClient;
use crate::cli::{Output, PauseTerms};
use crate::command_error::CommandError;
use crate::commands::{program, shown};
use crate::table::Table;

pub(crate) async fn pause(
    client: &AdminClient,
    target: PauseTarget,
    terms: PauseTerms,
) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body {
        target: PauseTarget,
        reason: String,
        until: Option<Timestamp>,
    }
    let PauseTerms {
        reason,
        lasts,
        until,
        output,
    } = terms;
    let until = until.or_else(|| lasts.map(|lasts| after(SystemClock.now(), lasts)));
    let answer = client.post("/pauses", &Body { target, reason, until }).await?;
    rendered(&answer, output, |answer| {
        let pause: Pause = answer.read()?;
        let until = pause.until.map_or_else(
            || format!("until `{} resume {}`", program(), pause.target),
            |until| format!("until {}", shown(until)),
        );
        Ok(format!("{} is paused {until}\n", pause.target))
    })
}

pub(crate) async fn resume(client: &AdminClient, target: PauseTarget, output: Output) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'t> {
        target: &'t PauseTarget,
    }
    #[derive(Deserialize)]
    struct Resumed {
        ended: Option<Pause>,
    }
    let answer = client.post("/pauses/resume", &Body { target: &target }).await?;
    rendered(&answer, output, |answer| {
        let Resumed { ended } = answer.read()?;
        Ok(match ended {
            Some(pause) => format!("{target} goes on; it was paused since {}\n", shown(pause.since)),
            None => format!("{target} was not paused\n"),
        })
    })
}

pub(crate) async fn list(client: &AdminClient, output: Output) -> Result<String, CommandError> {
    #[derive(Deserialize)]
    struct Pauses {
        pauses: Vec<Pause>,
    }
    let answer = client.get("/pauses", &[]).await?;
    rendered(&answer, output, |answer| {
        let Pauses { pauses } = answer.read()?;
        let mut table = Table::new(["PAUSED", "SINCE", "UNTIL", "BY", "REASON"]);
        for pause in &pauses {
            table.row([
                &pause.target.to_string(),
                &shown(pause.since),
                &pause.until.map_or_else(|| "resumed".into(), shown),
                &pause.actor,
                pause.reason.as_str(),
            ]);
        }
        Ok(table.render("nothing is paused"))
    })
}
