//! The broker as those who operate it see it.

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{Broker, BrokerError, BrokerPart, BrokerPartKind};
use async_trait::async_trait;

use crate::declarer::unavailable;
use crate::queue::AmqpQueue;
use crate::topology::PartKind;
use crate::trouble::TroubleKind;

#[async_trait]
impl Broker for AmqpQueue {
    async fn declare(&self, topics: &BTreeSet<TopicName>) -> Result<(), BrokerError> {
        self.inner.declarer.declare_all(topics).await?;
        self.inner.know(topics);
        Ok(())
    }

    async fn topology(&self, topics: &BTreeSet<TopicName>) -> Result<Vec<BrokerPart>, BrokerError> {
        self.inner.know(topics);
        let mut shown = Vec::new();
        for part in self.inner.declarer.parts(topics) {
            let seen = self.inner.declarer.seen(&part).await;
            let seen = seen.map_err(|trouble| unavailable("look", &trouble))?;
            let is_queue = part.kind == PartKind::Queue;
            let counted = seen.filter(|_| is_queue);
            shown.push(BrokerPart {
                kind: if is_queue {
                    BrokerPartKind::Queue
                } else {
                    BrokerPartKind::Exchange
                },
                arguments: part
                    .arguments
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                    .collect(),
                bindings: part.bindings.iter().map(ToString::to_string).collect(),
                exists: seen.is_some(),
                messages: counted.map(|seen| seen.messages),
                consumers: counted.map(|seen| seen.consumers),
                name: part.name,
                purpose: part.purpose,
            });
        }
        Ok(shown)
    }

    fn trouble(&self) -> Option<String> {
        let publishing = self.inner.publishing.taking().err();
        let trouble = publishing.or_else(|| self.inner.consuming.now().err())?;
        Some(match trouble.kind {
            TroubleKind::Blocked => trouble.to_string(),
            TroubleKind::Away
            | TroubleKind::Silent
            | TroubleKind::Forbidden
            | TroubleKind::Missing
            | TroubleKind::Drifted
            | TroubleKind::Rejected => format!("broker: {trouble}"),
        })
    }
}
