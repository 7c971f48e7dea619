//! One batch on one channel, decided as a whole and by message id.

use std::collections::HashSet;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::PublishError;
use futures::FutureExt;
use futures::future::join_all;
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use tokio::time::Instant;

use crate::declarer::short;
use crate::link::Epoch;
use crate::queue::message::Outgoing;
use crate::trouble::{Trouble, TroubleKind};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The broker has it.
    Published,
    /// It came back: there is no queue for it.
    Unroutable,
    /// The broker said no.
    Refused(String),
    /// It was not sent.
    Unavailable(String),
    /// It can never be published.
    Invalid(String),
    /// It may have been published.
    Unknown(String),
}

impl Decision {
    /// What trouble with the whole batch means for each message.
    pub(crate) fn of(trouble: &Trouble) -> Self {
        let reason = trouble.to_string();
        match trouble.kind {
            TroubleKind::Away | TroubleKind::Blocked => Self::Unavailable(reason),
            TroubleKind::Silent => Self::Unknown(reason),
            TroubleKind::Forbidden => Self::Refused(reason),
            TroubleKind::Missing => Self::Unroutable,
            TroubleKind::Drifted | TroubleKind::Rejected => Self::Invalid(reason),
        }
    }

    pub(crate) fn into_result(self, topic: &TopicName) -> Result<(), PublishError> {
        match self {
            Self::Published => Ok(()),
            Self::Unroutable => Err(PublishError::Unroutable { topic: topic.clone() }),
            Self::Refused(reason) => Err(PublishError::Refused { reason }),
            Self::Unavailable(reason) => Err(PublishError::Unavailable { reason }),
            Self::Unknown(reason) => Err(PublishError::Unknown { reason }),
            Self::Invalid(reason) => Err(PublishError::Invalid {
                code: "broker.rejected",
                reason,
            }),
        }
    }
}

/// A batch that was published.
pub(crate) struct Published {
    /// One for each message.
    pub(crate) decisions: Vec<Decision>,
    /// Some were not answered in time: their answers may still come, so the channel must not be used again.
    pub(crate) channel_is_spent: bool,
}

/// Publishes a batch and waits until all of it is decided, or the time is over.
///
/// The client library hands out a returned message with whichever confirm completes first, which is never a later one than
/// its own. So a message counts as published when its confirm is there and it is none of those that came back with any of the
/// confirms that are there.
///
/// # Errors
/// The channel or the connection is gone: any of them may have been published, and the channel must not be used again.
/// [`TroubleKind::Away`] is told as [`TroubleKind::Silent`] then.
pub(crate) async fn publish(
    epoch: &Epoch,
    channel: &Channel,
    messages: &[&Outgoing],
    limit: Duration,
) -> Result<Published, Trouble> {
    let until = Instant::now() + limit;
    let left = || until.saturating_duration_since(Instant::now());
    // All are on their way before the first is waited for.
    let sending = async { Ok(join_all(messages.iter().map(|message| send(channel, message))).await) };
    let mut sent = epoch.within(left(), "publish", sending).await.map_err(in_doubt)?;
    failpoint!(AMQP_BEFORE_CONFIRM);
    let mut answers: Vec<Option<lapin::Result<Confirmation>>> = Vec::with_capacity(sent.len());
    let waiting = async {
        for confirm in &mut sent {
            answers.push(Some(match confirm {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error.clone()),
            }));
        }
        Ok(())
    };
    let waited = epoch.within(left(), "confirm", waiting).await.map_err(in_doubt);
    let mut late = Vec::new();
    let channel_is_spent = match waited {
        Ok(()) => false,
        Err(trouble) if trouble.kind == TroubleKind::Silent && !epoch.lost().is_cancelled() => {
            // A queue without a leader must not keep those of the others in doubt.
            for confirm in sent.iter_mut().skip(answers.len()) {
                answers.push(match confirm {
                    Ok(confirm) => confirm.now_or_never(),
                    Err(error) => Some(Err(error.clone())),
                });
            }
            // A return may have gone to a confirm that came meanwhile.
            for (confirm, answer) in sent.iter_mut().zip(&answers) {
                if let (Ok(confirm), None) = (confirm, answer) {
                    late.extend(confirm.now_or_never().and_then(Result::ok));
                }
            }
            true
        }
        Err(trouble) => return Err(trouble),
    };
    Ok(Published {
        decisions: decide(messages, whole(answers).map_err(in_doubt)?, late, limit),
        channel_is_spent,
    })
}

/// Once something was sent, an absence leaves it in doubt.
fn in_doubt(trouble: Trouble) -> Trouble {
    match trouble.kind {
        TroubleKind::Away => Trouble::new(TroubleKind::Silent, trouble),
        TroubleKind::Silent
        | TroubleKind::Blocked
        | TroubleKind::Forbidden
        | TroubleKind::Missing
        | TroubleKind::Drifted
        | TroubleKind::Rejected => trouble,
    }
}

async fn send(
    channel: &Channel,
    message: &Outgoing,
) -> lapin::Result<impl Future<Output = lapin::Result<Confirmation>> + Unpin + use<>> {
    let refused = |trouble: Trouble| lapin::Error::from(std::io::Error::other(trouble.to_string()));
    let options = BasicPublishOptions {
        mandatory: message.must_be_routed,
        ..BasicPublishOptions::default()
    };
    channel
        .basic_publish(
            short(&message.exchange).map_err(refused)?,
            short(&message.key).map_err(refused)?,
            options,
            &message.body,
            message.properties().map_err(refused)?,
        )
        .await
}

/// The confirmations there are, or the error that tells most: of a channel the broker closed, most calls say only that it is
/// closed.
fn whole(answers: Vec<Option<lapin::Result<Confirmation>>>) -> Result<Vec<Option<Confirmation>>, Trouble> {
    let (mut confirmed, mut worst) = (Vec::with_capacity(answers.len()), None::<Trouble>);
    for answer in answers {
        match answer.transpose() {
            Ok(confirmation) => confirmed.push(confirmation),
            Err(error) => {
                let tells_more = worst.as_ref().is_none_or(|worst| worst.kind == TroubleKind::Away);
                if tells_more {
                    worst = Some(Trouble::from(error));
                }
            }
        }
    }
    worst.map_or(Ok(confirmed), Err)
}

fn decide(
    messages: &[&Outgoing],
    confirmations: Vec<Option<Confirmation>>,
    late: Vec<Confirmation>,
    limit: Duration,
) -> Vec<Decision> {
    let late = late.into_iter().filter_map(Confirmation::take_message);
    let mut returned: HashSet<String> = late.filter_map(|message| id_of(&message)).collect();
    let mut confirmed = Vec::with_capacity(confirmations.len());
    for confirmation in confirmations {
        let (decision, message) = match confirmation {
            Some(Confirmation::Ack(message)) => (Decision::Published, message),
            Some(Confirmation::Nack(message)) => (
                Decision::Refused("the queue is full, or its leader is away".into()),
                message,
            ),
            Some(Confirmation::NotRequested) => (Decision::Unknown("the channel does not confirm".into()), None),
            None => (Decision::Unknown(format!("no confirm within {limit:?}")), None),
        };
        returned.extend(message.as_ref().and_then(id_of));
        confirmed.push(decision);
    }
    let decided = messages.iter().zip(confirmed);
    decided
        .map(|(message, decision)| {
            if returned.is_empty() || !returned.contains(&message.id.to_string()) {
                decision
            } else {
                Decision::Unroutable
            }
        })
        .collect()
}

fn id_of(message: &BasicReturnMessage) -> Option<String> {
    message.properties.message_id().as_ref().map(ToString::to_string)
}
