//! Cutting a call into parts that a store may write kind by kind.

use std::collections::HashMap;
use std::iter::Peekable;

use crate::contract::{TaskEnvelope, TopicName};

/// The next part of a call: at most `most` messages, and of no order key both coalesced and other tasks. So a store may write
/// the two kinds of a part apart, and what is ordered stays in order. Empty when nothing is left.
pub fn next_part(messages: &mut Peekable<impl Iterator<Item = TaskEnvelope>>, most: usize) -> Vec<TaskEnvelope> {
    let mut part = Vec::new();
    let mut kinds: HashMap<(TopicName, String), bool> = HashMap::new();
    while part.len() < most {
        let fits = |message: &TaskEnvelope| {
            let Some(ordering) = message.ordering() else {
                return true;
            };
            let is_coalesced = message.coalescing.is_some();
            let kind = kinds.entry((message.topic.clone(), ordering)).or_insert(is_coalesced);
            *kind == is_coalesced
        };
        let Some(message) = messages.next_if(fits) else { break };
        part.push(message);
    }
    part
}
