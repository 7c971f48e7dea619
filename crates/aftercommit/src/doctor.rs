//! Trying everything a process depends on, and saying what is wrong with it.

#[cfg(feature = "object-storage")]
mod storage;

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{Broker, BrokerError};
use aftercommit_platform_config::{Database, Settings};
use serde::Serialize;

use crate::application::Aftercommit;
use crate::kit::Operations;
use crate::workflows::GET_A_SERVER;

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub what: String,
    /// How it is.
    pub state: FindingState,
    /// What was seen.
    pub detail: String,
    /// What helps; empty when nothing is needed.
    pub advice: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// It works.
    Well,
    /// It works, and something about it should be changed.
    Warning,
    /// It does not work.
    Failed,
}

impl Finding {
    fn new(what: &str, state: FindingState, detail: impl Into<String>, advice: &str) -> Self {
        Self {
            what: what.into(),
            state,
            detail: detail.into(),
            advice: advice.into(),
        }
    }
}

/// Tries the database, the broker, the e-mail server, the object storage and the workflow engine of these settings. Changes
/// nothing in any of them; an object that it puts to see whether it can be read is gone afterwards.
pub async fn examine(application: Aftercommit, settings: Settings) -> Vec<Finding> {
    let mut findings: Vec<Finding> = settings
        .warnings
        .iter()
        .map(|warning| Finding::new("configuration", FindingState::Warning, warning.clone(), ""))
        .collect();
    if findings.is_empty() {
        findings.push(Finding::new("configuration", FindingState::Well, "read and valid", ""));
    }
    #[cfg(feature = "postgres")]
    findings.extend(tables(&settings).await);
    #[cfg(feature = "smtp")]
    findings.extend(email(&settings).await);
    #[cfg(feature = "object-storage")]
    findings.extend(storage::examine(&settings).await);
    #[cfg(feature = "amqp")]
    let amqp = settings.amqp.clone();
    let place = place_of_database(&settings);
    let has_address = settings.temporal.is_some();
    match application.open_for_operators(settings).await {
        Ok(opened) => {
            findings.push(Finding::new(
                "database",
                FindingState::Well,
                format!("{place} is open"),
                "",
            ));
            if let Some(broker) = opened.kit().broker() {
                findings.extend(examine_broker(&opened.operations().topics(), &*broker).await);
            }
            findings.extend(workflows(opened.operations(), has_address).await);
            opened.close().await;
        }
        Err(error) => {
            let advice =
                "see that the server runs, and that DATABASE_URL names it, its database and a user who may log in";
            findings.push(Finding::new(
                "database",
                FindingState::Failed,
                error.to_string(),
                advice,
            ));
            #[cfg(feature = "amqp")]
            if let Some(amqp) = &amqp {
                findings.push(match crate::providers::amqp::check_connection(amqp).await {
                    Ok(()) => Finding::new("broker", FindingState::Well, "connected", ""),
                    Err(error) => Finding::new("broker", FindingState::Failed, error.to_string(), advice_for(&error)),
                });
            }
        }
    }
    findings
}

/// The workflow engine, where one is configured or missed.
async fn workflows(operations: &Operations, has_address: bool) -> Option<Finding> {
    Some(match &operations.kit.inner.workflow_engine {
        Some(engine) => match engine.check().await {
            Ok(()) => Finding::new(
                "workflows",
                FindingState::Well,
                format!("{} answers", engine.place()),
                "",
            ),
            Err(reason) => {
                let advice = "see that it runs and that TEMPORAL_ADDRESS names it, its namespace and a key it takes; what is \
                              to be started waits meanwhile";
                let detail = format!("{}: {reason}", engine.place());
                Finding::new("workflows", FindingState::Failed, detail, advice)
            }
        },
        None if has_address => {
            let detail = "TEMPORAL_ADDRESS is set, and Temporal is not compiled into this program";
            let advice = "run the program that apps/workflows builds";
            Finding::new("workflows", FindingState::Failed, detail, advice)
        }
        None if operations.workflows.is_empty() => return None,
        None => {
            let detail = "no engine runs them; what is started waits";
            Finding::new("workflows", FindingState::Warning, detail, GET_A_SERVER)
        }
    })
}

fn place_of_database(settings: &Settings) -> String {
    match &settings.database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(postgres) => postgres.url.to_string(),
        // The debug text of settings leaves secrets out.
        other => format!("{other:?}"),
    }
}

/// Migrations that are missing, and what takes protection away.
#[cfg(feature = "postgres")]
async fn tables(settings: &Settings) -> Vec<Finding> {
    if !matches!(settings.database, Database::Postgres(_)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    // What keeps them from being read keeps the database from being opened, and is told there.
    if let Ok(states) = crate::schema::status(settings).await {
        let missing: Vec<String> = states
            .iter()
            .filter(|state| !state.is_applied)
            .map(|state| format!("{} {}", state.schema, state.version))
            .collect();
        findings.push(if missing.is_empty() {
            Finding::new("tables", FindingState::Well, "all migrations are applied", "")
        } else {
            let detail = format!("{} migrations are missing: {}", missing.len(), missing.join(", "));
            Finding::new("tables", FindingState::Failed, detail, "run `aftercommit migrate`")
        });
    }
    if let Ok(warnings) = crate::schema::findings(settings).await {
        let told = warnings.into_iter();
        findings.extend(told.map(|warning| Finding::new("database server", FindingState::Warning, warning, "")));
    }
    findings
}

async fn examine_broker(topics: &BTreeSet<TopicName>, broker: &dyn Broker) -> Vec<Finding> {
    let parts = match broker.topology(topics).await {
        Ok(parts) => parts,
        Err(error) => {
            return vec![Finding::new(
                "broker",
                FindingState::Failed,
                error.to_string(),
                advice_for(&error),
            )];
        }
    };
    let missing: Vec<&str> = parts
        .iter()
        .filter(|part| !part.exists)
        .map(|part| part.name.as_str())
        .collect();
    let mut findings = vec![if missing.is_empty() {
        let detail = format!("connected; all {} queues and exchanges are there", parts.len());
        Finding::new("broker", FindingState::Well, detail, "")
    } else {
        let detail = format!(
            "connected; {} of {} queues and exchanges are not there yet",
            missing.len(),
            parts.len()
        );
        let advice = "the next start of a process that may declare them makes them (AFTERCOMMIT_AMQP__DECLARE)";
        Finding::new("broker", FindingState::Warning, detail, advice)
    }];
    if let Some(trouble) = broker.trouble() {
        let advice = "free memory or disk on the broker; what is published waits in the outbox until then";
        findings.push(Finding::new("broker", FindingState::Failed, trouble, advice));
    }
    findings
}

const fn advice_for(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Unavailable { .. } => {
            "see that the broker runs and that AMQP_URL names its host and port; 5671 with amqps, 5672 with amqp"
        }
        BrokerError::Drifted { .. } => "delete it when it is empty, or set another AFTERCOMMIT_AMQP__PREFIX",
        BrokerError::Refused { .. } => {
            "see that the user and the virtual host in AMQP_URL exist, and that the user may configure, write and read there"
        }
    }
}

#[cfg(feature = "smtp")]
async fn email(settings: &Settings) -> Vec<Finding> {
    let Some(smtp) = &settings.mail.smtp else {
        let detail = format!("e-mails become files in {}", settings.mail.dir.display());
        return vec![Finding::new("e-mail", FindingState::Well, detail, "")];
    };
    let place = format!("{}:{}", smtp.host, smtp.port);
    vec![match crate::providers::check_email(settings).await {
        Ok(()) => Finding::new("e-mail", FindingState::Well, format!("{place} takes e-mails"), ""),
        Err(error) => {
            let advice = "see that the server runs, and that SMTP_URL names its host, port, protection and login";
            Finding::new("e-mail", FindingState::Failed, format!("{place}: {error}"), advice)
        }
    }]
}
