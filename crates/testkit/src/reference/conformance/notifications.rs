//! Notifications, and what people want of them.

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::EmailClaim;
use aftercommit_domain::reference::notifications::{Notification, NotificationKind, NotificationPreferences};
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::{Name, NotificationId, UserId};
use aftercommit_domain::unit_of_work::StoreError;

use super::identity::{membership, user};
use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn a_notification_is_there_once_for_each_key_of_a_person(stores: &ReferenceStores) {
    with_members(stores).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let first = notification(1, 1, 1, "a");
    assert!(uow.notifications().insert_if_absent(&first).await.unwrap());
    assert!(
        !uow.notifications()
            .insert_if_absent(&notification(1, 2, 1, "a"))
            .await
            .unwrap()
    );
    assert!(
        uow.notifications()
            .insert_if_absent(&notification(1, 3, 1, "b"))
            .await
            .unwrap()
    );
    assert!(
        uow.notifications()
            .insert_if_absent(&notification(1, 4, 2, "a"))
            .await
            .unwrap()
    );
    uow.commit().await.unwrap();
    let mut other = stores.begin(&tenant(2)).await;
    assert_eq!(other.notifications().find(first.id).await.unwrap(), None);
    let same_key = notification(2, 5, 1, "a");
    assert!(
        other.notifications().insert_if_absent(&same_key).await.unwrap(),
        "their own"
    );
    drop(other);
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.notifications().find(first.id).await.unwrap(), Some(first));
    assert_eq!(
        uow.notifications().find(NotificationId::from(id(2))).await.unwrap(),
        None
    );
}

pub async fn the_email_of_a_notification_is_claimed_by_one_task_and_recorded_once(stores: &ReferenceStores) {
    with_members(stores).await;
    let (one, other) = (MessageId::from(id(71)), MessageId::from(id(72)));
    let mut uow = stores.begin(&tenant(1)).await;
    let first = notification(1, 1, 1, "a");
    uow.notifications().insert_if_absent(&first).await.unwrap();
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    let mut notifications = uow.notifications();
    let mut claim = async |task, now, stale_before| {
        let claimed = notifications
            .claim_email(first.id, task, at(now), at(stale_before))
            .await;
        claimed.unwrap()
    };
    assert_eq!(claim(one, 10, 0).await, EmailClaim::Claimed);
    assert_eq!(
        claim(one, 11, 0).await,
        EmailClaim::Claimed,
        "a redelivered task goes on"
    );
    assert_eq!(claim(other, 12, 11).await, EmailClaim::HeldByAnother);
    assert_eq!(
        claim(other, 13, 12).await,
        EmailClaim::Claimed,
        "a stale claim holds nobody up"
    );
    assert!(notifications.record_emailed(first.id, at(14)).await.unwrap());
    assert!(!notifications.record_emailed(first.id, at(15)).await.unwrap());
    let mut claim = async |task| notifications.claim_email(first.id, task, at(16), at(16)).await.unwrap();
    assert_eq!(claim(one).await, EmailClaim::AlreadySent);
    drop(notifications);
    let kept = uow.notifications().find(first.id).await.unwrap().unwrap();
    assert_eq!(kept.emailed_at, Some(at(14)));
    uow.commit().await.unwrap();

    let mut foreign = stores.begin(&tenant(2)).await;
    assert!(!foreign.notifications().record_emailed(first.id, at(17)).await.unwrap());
    // Not that it was sent, and not that another task sends it: either would be taken for done.
    let claim = foreign.notifications().claim_email(first.id, one, at(17), at(0)).await;
    assert!(matches!(claim, Err(StoreError::Refused { .. })), "{claim:?}");
}

pub async fn notifications_about_a_project_are_deleted_a_part_at_a_time_and_no_others(stores: &ReferenceStores) {
    with_members(stores).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let name = Name::new("Second").unwrap();
    let second = Project::new(project_id(5), organization_id(1), name, at(0));
    uow.projects().insert(&second).await.unwrap();
    for (n, key) in [(1, "a"), (2, "b"), (3, "c")] {
        uow.notifications()
            .insert_if_absent(&notification(1, n, 1, key))
            .await
            .unwrap();
    }
    let other = Notification {
        project_id: project_id(5),
        ..notification(1, 4, 1, "d")
    };
    uow.notifications().insert_if_absent(&other).await.unwrap();
    uow.commit().await.unwrap();
    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(
        foreign
            .notifications()
            .delete_by_project(&project_id(1), 9)
            .await
            .unwrap(),
        0
    );
    foreign.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(
        uow.notifications().delete_by_project(&project_id(1), 2).await.unwrap(),
        2
    );
    assert_eq!(
        uow.notifications().delete_by_project(&project_id(1), 2).await.unwrap(),
        1
    );
    assert_eq!(
        uow.notifications().delete_by_project(&project_id(1), 2).await.unwrap(),
        0
    );
    assert_eq!(uow.notifications().find(other.id).await.unwrap(), Some(other));
}

pub async fn what_a_person_wants_is_kept_for_each_organization(stores: &ReferenceStores) {
    with_members(stores).await;
    let person = UserId::from(id(1));
    let some = NotificationPreferences {
        incident_emails: false,
        digest_emails: true,
    };
    let none = NotificationPreferences {
        digest_emails: false,
        ..some
    };
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.notification_preferences().find(person).await.unwrap(), None);
    for wanted in [some, none] {
        uow.notification_preferences()
            .put(person, &wanted, at(1))
            .await
            .unwrap();
        assert_eq!(uow.notification_preferences().find(person).await.unwrap(), Some(wanted));
    }
    uow.commit().await.unwrap();
    let mut other = stores.begin(&tenant(2)).await;
    assert_eq!(other.notification_preferences().find(person).await.unwrap(), None);
}

pub async fn members_are_listed_in_pages(stores: &ReferenceStores) {
    with_members(stores).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let [first, second] = [1, 2].map(|n| UserId::from(id(n)));
    assert_eq!(uow.memberships().list(None, 9).await.unwrap(), [first, second]);
    assert_eq!(uow.memberships().list(None, 1).await.unwrap(), [first]);
    assert_eq!(uow.memberships().list(Some(first), 9).await.unwrap(), [second]);
    assert_eq!(uow.memberships().list(Some(second), 9).await.unwrap(), []);
    drop(uow);
    let mut other = stores.begin(&tenant(2)).await;
    assert_eq!(other.memberships().list(None, 9).await.unwrap(), [first]);
}

/// Persons 1 and 2 in organization 1, and person 1 in organization 2, too.
async fn with_members(stores: &ReferenceStores) {
    for (organization, people) in [(1, &[1, 2][..]), (2, &[1])] {
        stores.found(organization).await;
        let mut uow = stores.begin(&tenant(organization)).await;
        for person in people {
            uow.users().ensure(&user(*person)).await.unwrap();
            uow.memberships()
                .ensure(&membership(organization, *person))
                .await
                .unwrap();
        }
        uow.commit().await.unwrap();
    }
}

pub(super) fn notification(organization: u128, n: u128, person: u128, key: &str) -> Notification {
    Notification {
        id: NotificationId::from(id(n)),
        organization_id: organization_id(organization),
        project_id: project_id(organization),
        user_id: UserId::from(id(person)),
        kind: NotificationKind::IncidentOpened,
        subject_id: id(0xd00),
        idempotency_key: key.to_owned(),
        created_at: at(1),
        emailed_at: None,
    }
}
