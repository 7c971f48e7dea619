//! What followed from the records of a demonstration, counted by what it means to the product.

use std::collections::BTreeMap;

use aftercommit::{NodeKind, NodeState, TreeNode};
use serde::Serialize;

/// Something that follows from records, long after their request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Followed {
    /// A record was quiet.
    RecordsSettled,
    /// The search index took it.
    IndexRefreshes,
    /// Publishes that became one task with another.
    Coalesced,
    IncidentsOpened,
    IncidentsClosed,
    /// A member was told.
    Notifications,
    /// And by e-mail.
    NotificationEmails,
    /// What was used beyond what is included was reported.
    OverageReports,
}

/// How often each of it was seen.
pub(crate) type Counts = BTreeMap<Followed, u64>;

impl Followed {
    /// What a message of a tree is of it, if it is any.
    pub(crate) fn of(node: &TreeNode) -> Option<Self> {
        let is_done = node.state == NodeState::Completed;
        match (node.kind, node.name.as_str()) {
            (NodeKind::Event, "RecordSettled") => Some(Self::RecordsSettled),
            (NodeKind::Event, "IncidentOpened") => Some(Self::IncidentsOpened),
            (NodeKind::Event, "IncidentClosed") => Some(Self::IncidentsClosed),
            (NodeKind::Event, "NotificationCreated") => Some(Self::Notifications),
            (NodeKind::Task, _) if node.state == NodeState::Coalesced => Some(Self::Coalesced),
            (NodeKind::Task, "search-index/refresh") if is_done => Some(Self::IndexRefreshes),
            (NodeKind::Task, "notification-email/send") if is_done => Some(Self::NotificationEmails),
            (NodeKind::Task, "billing/report-overage") if is_done => Some(Self::OverageReports),
            (NodeKind::Event | NodeKind::Task, _) => None,
        }
    }
}

/// `3 settled · 2 indexed`, for the records.
pub(crate) fn records(counts: &Counts) -> String {
    format!(
        "{} settled · {} indexed · {} publishes one with another · {} overages reported",
        count(counts, Followed::RecordsSettled),
        count(counts, Followed::IndexRefreshes),
        count(counts, Followed::Coalesced),
        count(counts, Followed::OverageReports),
    )
}

/// `3 opened · 2 closed`, for the incidents, and who was told of them.
pub(crate) fn incidents(counts: &Counts) -> String {
    format!(
        "{} opened · {} closed · {} notifications · {} of them e-mailed",
        count(counts, Followed::IncidentsOpened),
        count(counts, Followed::IncidentsClosed),
        count(counts, Followed::Notifications),
        count(counts, Followed::NotificationEmails),
    )
}

pub(crate) fn count(counts: &Counts, what: Followed) -> u64 {
    counts.get(&what).copied().unwrap_or(0)
}
