//! What the demonstration knows of the product: its organizations, their projects, invitations and keys.

use std::collections::{HashMap, VecDeque};

use crate::demo::call::{Call, Outcome, What};
use crate::demo::metering::Metering;

/// Answered requests that may be repeated.
const REMEMBERED: usize = 256;
/// Invitations that are kept in mind of one organization.
const MOST_INVITATIONS: usize = 2_000;

/// What is known.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) tenants: Vec<Tenant>,
    /// Requests that were answered and whose answer a repetition must get again, with that answer.
    pub(crate) repeatable: VecDeque<(Call, serde_json::Value)>,
    /// People who are known to the product.
    pub(crate) people: Vec<String>,
    /// How many links were asked for, by address.
    pub(crate) links_asked: HashMap<String, u32>,
    /// Invitations that were made, by address.
    pub(crate) invited: HashMap<String, String>,
    /// The records that were taken.
    pub(crate) metering: Metering,
}

/// An organization.
pub(crate) struct Tenant {
    /// How much it does, compared with the others.
    pub(crate) weight: u32,
    /// Set once it has signed up.
    pub(crate) account: Option<Account>,
    pub(crate) projects: Vec<String>,
    pub(crate) invitations: Vec<Invitation>,
    /// How many accepted one: whom an incident is told.
    pub(crate) joined: u32,
    /// Keys beside its first one.
    pub(crate) keys: Vec<String>,
}

/// What a sign-up answers.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) organization_id: String,
    pub(crate) project_id: String,
    pub(crate) api_key: String,
}

/// An invitation.
pub(crate) struct Invitation {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) state: InvitationState,
}

/// What was asked for about an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvitationState {
    Open,
    Accepted,
    /// It may be refused yet, or be done already.
    BeingRevoked,
    Revoked,
}

impl World {
    /// Learns from an answer.
    pub(crate) fn learn(&mut self, call: &Call, outcome: &Outcome) {
        let Outcome::Taken { body, .. } = outcome else {
            return;
        };
        if call.idempotency_key.is_some() && !call.is_repetition {
            if self.repeatable.len() == REMEMBERED {
                self.repeatable.pop_front();
            }
            self.repeatable.push_back((call.clone(), body.clone()));
        }
        if call.is_repetition {
            return;
        }
        self.metering.took(call);
        let tenant = call.tenant.and_then(|place| self.tenants.get_mut(place));
        match (call.what, tenant) {
            (What::SignUp, Some(tenant)) => {
                if let (Some(organization_id), Some(project_id), Some(api_key)) = (
                    outcome.field("organization_id"),
                    outcome.field("project_id"),
                    outcome.field("api_key"),
                ) {
                    tenant.account = Some(Account {
                        organization_id,
                        project_id,
                        api_key,
                    });
                    self.people.push(call.about.clone());
                }
            }
            (What::CreateProject, Some(tenant)) => tenant.projects.extend(outcome.field("project_id")),
            (What::Invite, Some(tenant)) => {
                if let Some(id) = outcome.field("invitation_id") {
                    self.invited.insert(call.about.clone(), id.clone());
                    if tenant.invitations.len() == MOST_INVITATIONS {
                        tenant.invitations.remove(0);
                    }
                    tenant.invitations.push(Invitation {
                        id,
                        email: call.about.clone(),
                        state: InvitationState::Open,
                    });
                }
            }
            (What::Accept, Some(tenant)) => tenant.joined += 1,
            (What::Revoke, Some(tenant)) => {
                let mut invitations = tenant.invitations.iter_mut();
                if let Some(invitation) = invitations.find(|one| one.id == call.about) {
                    invitation.state = InvitationState::Revoked;
                }
            }
            (What::CreateKey, Some(tenant)) => tenant.keys.extend(outcome.field("api_key_id")),
            (What::RequestLink, _) => *self.links_asked.entry(call.about.clone()).or_default() += 1,
            _ => {}
        }
    }

    /// How an organization is called in the ledger.
    pub(crate) fn organization_of(&self, call: &Call) -> Option<String> {
        let tenant = self.tenants.get(call.tenant?)?;
        tenant.account.as_ref().map(|account| account.organization_id.clone())
    }
}

impl Tenant {
    pub(crate) const fn new(weight: u32) -> Self {
        Self {
            weight,
            account: None,
            projects: Vec::new(),
            invitations: Vec::new(),
            joined: 0,
            keys: Vec::new(),
        }
    }
}
