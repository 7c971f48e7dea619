//! Declaring the topology, and finding what differs from it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::BrokerError;
use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind as AmqpExchangeKind};
use tokio::sync::Mutex as AsyncMutex;

use crate::link::{CALL_LIMIT, Epoch, Link};
use crate::topology::{Argument, ExchangeKind, Part, PartKind, Topology};
use crate::trouble::{Trouble, TroubleKind};

/// Declares what is needed when it is needed first. On the consuming link: the other one may be blocked.
pub(crate) struct Declarer {
    link: Link,
    topology: Topology,
    may_declare: bool,
    /// Looked at without waiting for whoever declares something.
    declared: Mutex<Declared>,
    /// One declares at a time: many who want the same wait for the first of them.
    declaring: AsyncMutex<()>,
}

#[derive(Default)]
struct Declared {
    shared: bool,
    topics: HashSet<TopicName>,
}

impl Declared {
    fn has(&self, topic: &TopicName) -> bool {
        self.shared && self.topics.contains(topic)
    }
}

/// What the broker says of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) messages: u64,
    pub(crate) consumers: u64,
}

impl Declarer {
    pub(crate) fn new(link: Link, topology: Topology, may_declare: bool) -> Self {
        Self {
            link,
            topology,
            may_declare,
            declared: Mutex::default(),
            declaring: AsyncMutex::default(),
        }
    }

    /// Makes sure that a topic has what it needs, once for each process until it is [forgotten](Self::forget).
    pub(crate) async fn ensure(&self, topic: &TopicName) -> Result<(), Trouble> {
        if !self.may_declare {
            return Ok(());
        }
        if self.declared().has(topic) {
            return Ok(());
        }
        let _turn = self.declaring.lock().await;
        if self.declared().has(topic) {
            return Ok(());
        }
        let epoch = self.link.up(CALL_LIMIT).await?;
        let channel = epoch.channel().await?;
        if !self.declared().shared {
            declare(&epoch, &channel, &self.topology.shared()).await?;
            self.declared().shared = true;
        }
        declare(&epoch, &channel, &self.topology.of_topic(topic)).await?;
        self.declared().topics.insert(topic.clone());
        Ok(())
    }

    /// The broker has lost something: everything is declared again before it is used again.
    pub(crate) fn forget(&self) {
        *self.declared() = Declared::default();
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        // Plain values, whole after any panic.
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares everything for these topics, or only looks whether it is there.
    pub(crate) async fn declare_all(&self, topics: &BTreeSet<TopicName>) -> Result<(), BrokerError> {
        for part in self.parts(topics) {
            self.one(&part).await.map_err(|trouble| broken(&part, &trouble))?;
        }
        if self.may_declare {
            for topic in topics {
                self.ensure(topic)
                    .await
                    .map_err(|trouble| unavailable("declare", &trouble))?;
            }
        }
        Ok(())
    }

    /// Each part on a channel of its own, which the broker closes when it differs.
    async fn one(&self, part: &Part) -> Result<(), Trouble> {
        let epoch = self.link.up(CALL_LIMIT).await?;
        let channel = epoch.channel().await?;
        if self.may_declare {
            make(&epoch, &channel, part).await
        } else {
            look(&epoch, &channel, part).await.map(|_| ())
        }
    }

    pub(crate) fn parts(&self, topics: &BTreeSet<TopicName>) -> Vec<Part> {
        let mut parts = self.topology.shared();
        parts.extend(topics.iter().flat_map(|topic| self.topology.of_topic(topic)));
        parts
    }

    /// What the broker says of a part; `None` when it has none of that name.
    pub(crate) async fn seen(&self, part: &Part) -> Result<Option<Seen>, Trouble> {
        let epoch = self.link.up(CALL_LIMIT).await?;
        let channel = epoch.channel().await?;
        match look(&epoch, &channel, part).await {
            Ok(seen) => Ok(Some(seen)),
            Err(trouble) if trouble.kind == TroubleKind::Missing => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}

/// All parts first, as their bindings lead to one another.
async fn declare(epoch: &Epoch, channel: &Channel, parts: &[Part]) -> Result<(), Trouble> {
    for part in parts {
        make(epoch, channel, part).await?;
    }
    for part in parts {
        bind(epoch, channel, part).await?;
    }
    Ok(())
}

async fn make(epoch: &Epoch, channel: &Channel, part: &Part) -> Result<(), Trouble> {
    let name = short(&part.name)?;
    let arguments = table(part)?;
    match part.kind {
        PartKind::Exchange(kind) => {
            let kind = match kind {
                ExchangeKind::Direct => AmqpExchangeKind::Direct,
                ExchangeKind::Fanout => AmqpExchangeKind::Fanout,
                ExchangeKind::Topic => AmqpExchangeKind::Topic,
            };
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let call = channel.exchange_declare(name, kind, options, arguments);
            epoch.within(CALL_LIMIT, "declare an exchange", call).await
        }
        PartKind::Queue => {
            let call = channel.queue_declare(name, QueueDeclareOptions::durable(), arguments);
            epoch.within(CALL_LIMIT, "declare a queue", call).await.map(|_| ())
        }
    }
}

async fn bind(epoch: &Epoch, channel: &Channel, part: &Part) -> Result<(), Trouble> {
    for binding in &part.bindings {
        let (name, source, key) = (short(&part.name)?, short(&binding.source)?, short(&binding.key)?);
        match part.kind {
            PartKind::Exchange(_) => {
                let call =
                    channel.exchange_bind(name, source, key, ExchangeBindOptions::default(), FieldTable::default());
                epoch.within(CALL_LIMIT, "bind an exchange", call).await?;
            }
            PartKind::Queue => {
                let call = channel.queue_bind(name, source, key, QueueBindOptions::default(), FieldTable::default());
                epoch.within(CALL_LIMIT, "bind a queue", call).await?;
            }
        }
    }
    Ok(())
}

/// Looks without changing anything.
async fn look(epoch: &Epoch, channel: &Channel, part: &Part) -> Result<Seen, Trouble> {
    let name = short(&part.name)?;
    match part.kind {
        PartKind::Exchange(_) => {
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let call = channel.exchange_declare(name, AmqpExchangeKind::Direct, options, FieldTable::default());
            epoch.within(CALL_LIMIT, "look at an exchange", call).await?;
            Ok(Seen {
                messages: 0,
                consumers: 0,
            })
        }
        PartKind::Queue => {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::durable()
            };
            let call = channel.queue_declare(name, options, FieldTable::default());
            let queue = epoch.within(CALL_LIMIT, "look at a queue", call).await?;
            Ok(Seen {
                messages: queue.message_count().into(),
                consumers: queue.consumer_count().into(),
            })
        }
    }
}

fn table(part: &Part) -> Result<FieldTable, Trouble> {
    let mut table = FieldTable::default();
    for (name, value) in &part.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        table.insert(short(name)?, value);
    }
    Ok(table)
}

/// A name as the protocol takes it, which is at most 255 bytes.
pub(crate) fn short(text: &str) -> Result<ShortString, Trouble> {
    ShortString::try_new(text).map_err(|_| {
        Trouble::new(
            TroubleKind::Rejected,
            format!("a name of {} bytes is too long", text.len()),
        )
    })
}

/// What a part that could not be declared means for a person.
fn broken(part: &Part, trouble: &Trouble) -> BrokerError {
    let what = match part.kind {
        PartKind::Exchange(_) => format!("the exchange {}", part.name),
        PartKind::Queue => format!("the queue {}", part.name),
    };
    match trouble.kind {
        TroubleKind::Drifted => BrokerError::Drifted {
            difference: difference(part, &trouble.to_string()),
            what,
        },
        TroubleKind::Missing => BrokerError::Refused {
            operation: "look",
            reason: format!("{what} is missing, and this process may not create it"),
        },
        TroubleKind::Forbidden | TroubleKind::Rejected => BrokerError::Refused {
            operation: "declare",
            reason: format!("{what}: {trouble}"),
        },
        TroubleKind::Away | TroubleKind::Silent | TroubleKind::Blocked => unavailable("declare", trouble),
    }
}

pub(crate) fn unavailable(operation: &'static str, trouble: &Trouble) -> BrokerError {
    match trouble.kind {
        TroubleKind::Forbidden => BrokerError::Refused {
            operation,
            reason: trouble.to_string(),
        },
        TroubleKind::Away
        | TroubleKind::Silent
        | TroubleKind::Blocked
        | TroubleKind::Missing
        | TroubleKind::Drifted
        | TroubleKind::Rejected => BrokerError::Unavailable {
            operation,
            reason: trouble.to_string(),
        },
    }
}

/// The broker's `inequivalent arg 'x-max-length' for queue '…': received '5' but current is '6'` in words of ours.
fn difference(part: &Part, said: &str) -> String {
    let quoted = |after: &str| said.split_once(after).and_then(|(_, rest)| rest.split('\'').nth(1));
    let has = match (quoted("but current is"), said.contains("but current is none")) {
        (Some(value), _) => value.to_owned(),
        (None, true) => "none".into(),
        (None, false) => return format!("it differs: {said}"),
    };
    let name = quoted("inequivalent arg").unwrap_or("an argument");
    let wanted = match part.arguments.get(name) {
        Some(value) => value.to_string(),
        None => quoted("received").unwrap_or("none").to_owned(),
    };
    format!("its {name} is {has} and this build says {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::AmqpOptions;

    #[test]
    fn a_difference_is_told_with_what_is_there_and_what_should_be() {
        let topology = Topology::new(&AmqpOptions::local(1));
        let part = &topology.of_topic(&TopicName::constant("letters"))[0];
        let said = |current: &str| {
            format!(
                "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '1000000' \
                 but current is {current}"
            )
        };
        assert_eq!(
            difference(part, &said("'20'")),
            "its x-max-length is 20 and this build says 1000000"
        );
        assert_eq!(
            difference(part, &said("none")),
            "its x-max-length is none and this build says 1000000"
        );
    }
}
