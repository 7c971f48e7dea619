//! The inbox of a transaction in memory.

use std::collections::HashMap;

use aftercommit_domain::contract::{HandlerName, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Inbox, InboxClaim, InboxError, InboxMaintenance, InboxMessage, PayloadDigest};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::InMemory;

/// What was claimed, and by transactions that are open.
#[derive(Default)]
pub(super) struct Claims {
    done: HashMap<Key, Done>,
    /// Each with the transaction that has it.
    open: HashMap<Key, u64>,
    transactions: u64,
}

type Key = (Tenant, HandlerName, MessageId);

struct Done {
    payload: PayloadDigest,
    at: Timestamp,
}

impl Claims {
    /// Remembers what was claimed of a message as if it had been claimed now.
    pub(super) fn renew(&mut self, message: MessageId, now: Timestamp) {
        for (_, done) in self.done.iter_mut().filter(|(key, _)| key.2 == message) {
            done.at = now;
        }
    }
}

/// The claims of one open transaction; given up when it is dropped.
pub(super) struct OpenClaims {
    provider: InMemory,
    transaction: Option<u64>,
    claims: Vec<(Key, PayloadDigest)>,
}

impl OpenClaims {
    pub(super) fn new(provider: InMemory) -> Self {
        Self {
            provider,
            transaction: None,
            claims: Vec::new(),
        }
    }

    /// They stay.
    pub(super) fn commit(&mut self) {
        let at = self.provider.now();
        let mut state = self.provider.lock();
        for (key, payload) in self.claims.drain(..) {
            state.inbox.open.remove(&key);
            state.inbox.done.insert(key, Done { payload, at });
        }
    }
}

impl Drop for OpenClaims {
    fn drop(&mut self) {
        let mut state = self.provider.lock();
        for (key, _) in &self.claims {
            state.inbox.open.remove(key);
        }
    }
}

pub(super) struct MemoryInbox<'t> {
    pub(super) claims: &'t mut OpenClaims,
    pub(super) tenant: Tenant,
}

#[async_trait]
impl Inbox for MemoryInbox<'_> {
    /// A store that waits would come to the same: whoever has the claim commits, and this one is told so when it comes again.
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
        message.check_tenant(&self.tenant)?;
        let key = (message.tenant.clone(), message.handler.clone(), message.id);
        let OpenClaims {
            provider,
            transaction,
            claims,
        } = &mut *self.claims;
        let mut state = provider.lock();
        let inbox = &mut state.inbox;
        if let Some(done) = inbox.done.get(&key) {
            return message.again(done.payload);
        }
        let own = *transaction.get_or_insert_with(|| {
            inbox.transactions += 1;
            inbox.transactions
        });
        match inbox.open.get(&key) {
            Some(holder) if *holder == own => {
                let earlier = claims.iter().find(|(claimed, _)| *claimed == key);
                message.again(earlier.map_or(message.payload, |(_, payload)| *payload))
            }
            Some(_) => Err(InboxError::Busy {
                handler: message.handler.clone(),
                id: message.id,
            }),
            None => {
                inbox.open.insert(key.clone(), own);
                claims.push((key, message.payload));
                Ok(InboxClaim::First)
            }
        }
    }
}

#[async_trait]
impl InboxMaintenance for InMemory {
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError> {
        let mut state = self.lock();
        let state = &mut *state;
        let mut old: Vec<(Timestamp, Key)> = state
            .inbox
            .done
            .iter()
            .filter(|(key, done)| done.at < before && state.dead.find(key.2).is_none())
            .map(|(key, done)| (done.at, key.clone()))
            .collect();
        old.sort_by_key(|(at, key)| (*at, key.2));
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (_, key) in &old {
            state.inbox.done.remove(key);
        }
        Ok(old.len() as u64 + state.tasks.windows.prune(before))
    }
}
