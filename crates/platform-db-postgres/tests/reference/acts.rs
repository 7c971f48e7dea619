//! What a tenant does through the repositories, to what belongs to it or to another.

use aftercommit_domain::contract::StorageKey;
use aftercommit_domain::events::{OutboxError, OutboxWriterExt as _, WriteError};
use aftercommit_domain::ids::{Ids as _, MessageId};
use aftercommit_domain::reference::exports::ExportState;
use aftercommit_domain::reference::notifications::NotificationPreferences;
use aftercommit_domain::reference::projects::{Project, ProjectCreated};
use aftercommit_domain::reference::records::{NewRecord, RecordBody, RecordKey};
use aftercommit_domain::reference::requests::KeptAnswer;
use aftercommit_domain::reference::search::SearchText;
use aftercommit_domain::reference::webhooks::{DeliveryHealth, DisableReason};
use aftercommit_domain::reference::{
    ApiKeyId, Digest, InvitationId, RecordId, ReferenceUnitOfWork, RequestId, WebhookId,
};
use aftercommit_domain::time;
use aftercommit_domain::unit_of_work::StoreError;

use crate::rig::Rig;
use crate::side::Side;

/// What a tenant does through the repositories.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    AddProject,
    FindProject,
    DeleteProject,
    MarkProvisioned,
    Ingest,
    AnyRecord,
    FindRecord,
    Index,
    Search,
    PurgeIndex,
    Purge,
    AddKey,
    FindKey,
    RevokeKey,
    Join,
    FindMember,
    Invite,
    FindInvitation,
    Accept,
    Prolong,
    Revoke,
    Expire,
    ClaimEmail,
    RecordEmailed,
    AddToken,
    HasToken,
    AddWebhook,
    FindWebhook,
    FindWebhookToChange,
    ListWebhooks,
    RecordHealth,
    DeleteWebhook,
    Report,
    MarkReported,
    TakeDown,
    OpenIncident,
    FindIncident,
    CloseIncident,
    ListOpen,
    Notify,
    FindNotification,
    ClaimNotification,
    RecordNotification,
    DeleteNotifications,
    Prefer,
    Digest,
    FindDigest,
    Export,
    FindExport,
    AdvanceExport,
    ListMembers,
    CountRecords,
    PageRecords,
    ClaimRequest,
    ForgetRequests,
    WriteEvent,
}

impl Act {
    pub(crate) const ALL: [Self; 56] = [
        Self::AddProject,
        Self::FindProject,
        Self::DeleteProject,
        Self::MarkProvisioned,
        Self::Ingest,
        Self::AnyRecord,
        Self::FindRecord,
        Self::Index,
        Self::Search,
        Self::PurgeIndex,
        Self::Purge,
        Self::AddKey,
        Self::FindKey,
        Self::RevokeKey,
        Self::Join,
        Self::FindMember,
        Self::Invite,
        Self::FindInvitation,
        Self::Accept,
        Self::Prolong,
        Self::Revoke,
        Self::Expire,
        Self::ClaimEmail,
        Self::RecordEmailed,
        Self::AddToken,
        Self::HasToken,
        Self::AddWebhook,
        Self::FindWebhook,
        Self::FindWebhookToChange,
        Self::ListWebhooks,
        Self::RecordHealth,
        Self::DeleteWebhook,
        Self::Report,
        Self::MarkReported,
        Self::TakeDown,
        Self::OpenIncident,
        Self::FindIncident,
        Self::CloseIncident,
        Self::ListOpen,
        Self::Notify,
        Self::FindNotification,
        Self::ClaimNotification,
        Self::RecordNotification,
        Self::DeleteNotifications,
        Self::Prefer,
        Self::Digest,
        Self::FindDigest,
        Self::Export,
        Self::FindExport,
        Self::AdvanceExport,
        Self::PageRecords,
        Self::ListMembers,
        Self::CountRecords,
        Self::ClaimRequest,
        Self::ForgetRequests,
        Self::WriteEvent,
    ];
}

/// Does it to what belongs to `to`. Answers whether anything was found or changed.
#[expect(clippy::too_many_lines, reason = "one line for each act")]
pub(crate) async fn act(rig: &Rig, uow: &mut dyn ReferenceUnitOfWork, act: Act, to: &Side) -> Result<bool, StoreError> {
    let next = || rig.services.ids.next();
    let task = MessageId::from(next());
    match act {
        Act::AddProject => {
            let project = Project::new(next().into(), to.organization.clone(), Side::name(), to.now);
            uow.projects().insert(&project).await?;
            Ok(true)
        }
        Act::FindProject => Ok(uow.projects().find(&to.project).await?.is_some()),
        Act::DeleteProject => uow.projects().mark_deleted(&to.project, to.now).await,
        Act::MarkProvisioned => uow.projects().mark_provisioned(&to.project, to.now).await,
        Act::Ingest => {
            let batch = StorageKey::new("records/batch").unwrap();
            let records = ["a", "b", "a"].map(|key| NewRecord {
                key: RecordKey::new(key).unwrap(),
                body: RecordBody::new("1").unwrap(),
            });
            let ids = [to.record, RecordId::from(next()), RecordId::from(next())];
            let stored = uow
                .records()
                .upsert(&to.project, &batch, &records, &ids, to.now)
                .await?;
            Ok(!stored.is_empty())
        }
        Act::AnyRecord => uow.records().any(&to.project).await,
        Act::FindRecord => Ok(uow.records().find(&to.project, to.record).await?.is_some()),
        Act::Index => {
            let text = SearchText::new("word");
            uow.search_index().put(&to.project, to.record, &text, to.now).await
        }
        Act::Search => {
            let text = SearchText::new("word");
            let found = uow.search_index().search(&to.project, &text, 9).await?;
            Ok(!found.is_empty())
        }
        Act::PurgeIndex => Ok(uow.search_index().purge(&to.project, 10).await? > 0),
        Act::Purge => Ok(uow.records().purge(&to.project, 10).await? > 0),
        Act::AddKey => {
            uow.api_keys().insert(&to.key(ApiKeyId::from(next()))).await?;
            Ok(true)
        }
        Act::FindKey => Ok(uow.api_keys().find(to.api_key).await?.is_some()),
        Act::RevokeKey => uow.api_keys().revoke(to.api_key, to.now).await,
        Act::Join => uow.memberships().ensure(&to.membership()).await,
        Act::FindMember => Ok(uow.memberships().find(to.user).await?.is_some()),
        Act::Invite => {
            let invitation = to.invitation(InvitationId::from(next()));
            uow.invitations().insert(&invitation).await?;
            Ok(true)
        }
        Act::FindInvitation => Ok(uow.invitations().find(to.invitation).await?.is_some()),
        Act::Accept => uow.invitations().accept(to.invitation, to.user, to.now).await,
        Act::Prolong => uow.invitations().prolong(to.invitation, to.now).await,
        Act::Revoke => uow.invitations().revoke(to.invitation, to.now).await,
        Act::Expire => uow.invitations().expire(to.invitation, to.now).await,
        Act::ClaimEmail => {
            uow.invitations()
                .claim_email(to.invitation, task, to.now, to.now)
                .await?;
            Ok(true)
        }
        Act::RecordEmailed => uow.invitations().record_emailed(to.invitation, to.now).await,
        Act::AddToken => {
            let token = Digest::of(next());
            uow.invitations().add_token(to.invitation, &token, to.now, 3).await?;
            Ok(true)
        }
        Act::HasToken => uow.invitations().has_token(to.invitation, &Digest::of("unknown")).await,
        Act::AddWebhook => {
            uow.webhooks().insert(&to.webhook(WebhookId::from(next()))).await?;
            Ok(true)
        }
        Act::FindWebhook => Ok(uow.webhooks().find(to.webhook).await?.is_some()),
        Act::FindWebhookToChange => Ok(uow.webhooks().find_to_change(to.webhook).await?.is_some()),
        Act::ListWebhooks => Ok(!uow.webhooks().of_project(&to.project, 10).await?.is_empty()),
        Act::RecordHealth => {
            let health = DeliveryHealth {
                failures: 1,
                disabled: Some((to.now, DisableReason::Gone)),
                ..DeliveryHealth::default()
            };
            uow.webhooks().record_health(to.webhook, &health).await
        }
        Act::DeleteWebhook => uow.webhooks().delete(&to.project, to.webhook).await,
        Act::Report => uow.overage_reports().insert(&to.overage_report(next())).await,
        Act::MarkReported => {
            let pending = uow.overage_reports().pending(&to.project, to.month()).await?;
            match pending {
                Some(report) => uow.overage_reports().mark_reported(report.id, to.now).await,
                None => Ok(false),
            }
        }
        Act::TakeDown => uow.billing_ledger().append(&to.ledger_entry(next())).await,
        Act::OpenIncident => uow.incidents().open(&to.incident(next())).await,
        Act::FindIncident => Ok(uow.incidents().latest(&to.project, &Side::source()).await?.is_some()),
        Act::CloseIncident => {
            let latest = uow.incidents().latest(&to.project, &Side::source()).await?;
            match latest {
                Some(incident) => uow.incidents().close(incident.id, to.now, to.now).await,
                None => Ok(false),
            }
        }
        Act::ListOpen => {
            let open = uow.incidents().list_open(None, 9).await?;
            Ok(open.iter().any(|incident| incident.organization_id == to.organization))
        }
        Act::Notify => {
            let notification = to.notification(next().into(), next().to_string());
            uow.notifications().insert_if_absent(&notification).await
        }
        Act::FindNotification => Ok(uow.notifications().find(to.notification_id).await?.is_some()),
        Act::ClaimNotification => {
            let (id, now) = (to.notification_id, to.now);
            uow.notifications().claim_email(id, task, now, now).await?;
            Ok(true)
        }
        Act::RecordNotification => uow.notifications().record_emailed(to.notification_id, to.now).await,
        Act::DeleteNotifications => Ok(uow.notifications().delete_by_project(&to.project, 1).await? > 0),
        Act::Prefer => {
            // In one's own organization, whoever the person is.
            let wanted = NotificationPreferences::default();
            uow.notification_preferences().put(to.user, &wanted, to.now).await?;
            Ok(uow.tenant().organization_id() == Some(&to.organization))
        }
        Act::Digest => uow.digests().insert_if_absent(&to.digest(next())).await,
        Act::FindDigest => Ok(uow.digests().find(to.digest_id).await?.is_some()),
        Act::Export => {
            uow.exports().insert(&to.export(next().into())).await?;
            Ok(true)
        }
        Act::FindExport => Ok(uow.exports().find(to.export_id).await?.is_some()),
        Act::AdvanceExport => {
            let state = ExportState::Running { rows: 1 };
            uow.exports().advance(to.export_id, &state).await
        }
        Act::PageRecords => Ok(!uow.records().page(&to.project, None, 9).await?.is_empty()),
        Act::ListMembers => {
            let members = uow.memberships().list(None, 9).await?;
            Ok(uow.tenant().organization_id() == Some(&to.organization) && !members.is_empty())
        }
        Act::CountRecords => {
            let (from, until) = (time::before(to.now, time::days(1)), time::after(to.now, time::days(1)));
            Ok(uow.records().count_received(&to.project, from, until).await? > 0)
        }
        Act::ClaimRequest => {
            let (id, request) = (RequestId::from(next()), to.request(next()));
            uow.requests().claim(id, &request, to.now, to.now).await?;
            let answer = KeptAnswer {
                key_id: "k1".into(),
                bytes: vec![1],
            };
            uow.requests().keep_answer(id, &answer).await?;
            Ok(true)
        }
        Act::ForgetRequests => {
            uow.requests().forget(time::after(to.now, time::days(1)), 100).await?;
            // Whose they were, is seen afterwards.
            Ok(false)
        }
        Act::WriteEvent => write_event(uow, to).await,
    }
}

async fn write_event(uow: &mut dyn ReferenceUnitOfWork, to: &Side) -> Result<bool, StoreError> {
    let event = ProjectCreated {
        organization_id: to.organization.clone(),
        project_id: to.project.clone(),
    };
    match uow.outbox().write(event).await {
        Ok(_) => Ok(true),
        // Refused before it is a statement.
        Err(WriteError::Outbox(OutboxError::Tenant(_))) => Ok(false),
        Err(error) => Err(StoreError::Refused {
            operation: "outbox.append",
            reason: error.to_string(),
        }),
    }
}
