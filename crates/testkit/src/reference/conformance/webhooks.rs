//! Webhooks.

use aftercommit_domain::effects::{WebhookNetwork, WebhookSecret, WebhookUrl};
use aftercommit_domain::reference::WebhookId;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::webhooks::{DeliveryHealth, DisableReason, WebhookEndpoint, WebhookEventKind};
use aftercommit_domain::reference::{Name, ReferenceUnitOfWork};

use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn a_webhook_comes_back_with_its_secret_and_its_health(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.webhooks().insert(&webhook(1, 1)).await.unwrap();
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    let id = webhook(1, 1).id;
    assert_eq!(uow.webhooks().find(id).await.unwrap(), Some(webhook(1, 1)));
    let health = DeliveryHealth {
        failures: 7,
        failing_since: Some(at(3)),
        cools_down_until: Some(at(9)),
        disabled: Some((at(8), DisableReason::Gone)),
    };
    for health in [health, DeliveryHealth::default()] {
        assert!(uow.webhooks().record_health(id, &health).await.unwrap());
        let kept = uow.webhooks().find_to_change(id).await.unwrap().unwrap();
        assert_eq!(
            kept,
            WebhookEndpoint {
                health,
                ..webhook(1, 1)
            }
        );
    }
    let nobody = WebhookId::from(super::id(99));
    assert!(!uow.webhooks().record_health(nobody, &health).await.unwrap());
    assert_eq!(uow.webhooks().find(nobody).await.unwrap(), None);
}

pub async fn the_webhooks_of_a_project_come_the_oldest_first_and_at_most_as_many_as_asked_for(
    stores: &ReferenceStores,
) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let other = Project::new(project_id(3), organization_id(1), Name::new("Other").unwrap(), at(0));
    uow.projects().insert(&other).await.unwrap();
    for n in [3, 1, 2] {
        uow.webhooks().insert(&webhook(1, n)).await.unwrap();
    }
    let elsewhere = WebhookEndpoint {
        project_id: project_id(3),
        ..webhook(1, 4)
    };
    uow.webhooks().insert(&elsewhere).await.unwrap();
    let of = async |uow: &mut dyn ReferenceUnitOfWork, project, limit| {
        let found = uow.webhooks().of_project(&project_id(project), limit).await.unwrap();
        found.into_iter().map(|endpoint| endpoint.id).collect::<Vec<_>>()
    };
    let ids = [1, 2, 3].map(|n| webhook(1, n).id);
    assert_eq!(of(&mut *uow, 1, 10).await, ids);
    assert_eq!(of(&mut *uow, 1, 2).await, &ids[..2]);
    assert_eq!(of(&mut *uow, 3, 10).await, [elsewhere.id]);
    uow.commit().await.unwrap();
    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(of(&mut *foreign, 1, 10).await, []);
}

pub async fn a_webhook_is_deleted_once_and_only_as_one_of_its_project(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.webhooks().insert(&webhook(1, 1)).await.unwrap();
    uow.commit().await.unwrap();
    let webhook_id = webhook(1, 1).id;
    let mut foreign = stores.begin(&tenant(2)).await;
    assert!(!foreign.webhooks().delete(&project_id(1), webhook_id).await.unwrap());
    let health = DeliveryHealth::default();
    assert!(!foreign.webhooks().record_health(webhook_id, &health).await.unwrap());
    assert_eq!(foreign.webhooks().find_to_change(webhook_id).await.unwrap(), None);
    drop(foreign);
    let mut uow = stores.begin(&tenant(1)).await;
    assert!(!uow.webhooks().delete(&project_id(2), webhook_id).await.unwrap());
    assert!(uow.webhooks().delete(&project_id(1), webhook_id).await.unwrap());
    assert!(!uow.webhooks().delete(&project_id(1), webhook_id).await.unwrap());
    assert_eq!(uow.webhooks().find(webhook_id).await.unwrap(), None);
}

fn webhook(organization: u128, n: u64) -> WebhookEndpoint {
    let url = format!("https://hooks.example.com/{n}?token=a%20b");
    WebhookEndpoint {
        id: WebhookId::from(id(u128::from(n))),
        organization_id: organization_id(organization),
        project_id: project_id(organization),
        url: WebhookUrl::parse(&url, WebhookNetwork::Public).unwrap(),
        events: vec![WebhookEventKind::MemberJoined, WebhookEventKind::ProjectDeleted],
        secret: WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
        created_at: at(n),
        health: DeliveryHealth::default(),
    }
}
