//! The inbox under row-level security.

use aftercommit_domain::contract::{Cause, HandlerName, Json, Limits};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::ReferenceUnitOfWorkFactory as _;
use aftercommit_domain::tasks::{InboxClaim, InboxMessage, PayloadDigest};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::rig::Rig;
use crate::side::Side;

#[tokio::test]
async fn the_application_claims_for_its_tenant_and_neither_sees_nor_makes_the_claims_of_another() {
    let rig = Rig::application().await;
    let (own, other) = (Side::found(&rig).await, Side::found(&rig).await);
    let payload = Json::parse("{}", &Limits::default()).unwrap();
    let message = |side: &Side| InboxMessage {
        tenant: side.tenant(false),
        handler: HandlerName::constant("letters/post"),
        id: MessageId::new(&*rig.services.ids),
        payload: PayloadDigest::of(&payload, 1),
    };
    for side in [&own, &other] {
        let message = message(side);
        for expected in [InboxClaim::First, InboxClaim::Seen] {
            let mut uow = rig.reference.begin(&message.tenant, &Cause::root()).await.unwrap();
            assert_eq!(uow.inbox().claim(&message).await.unwrap(), expected);
            uow.commit().await.unwrap();
        }
    }
    let organization = other.tenant(true).organization_id().unwrap().to_string();
    let mut transaction = rig.database.begin(&own.tenant(false)).await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM aftercommit.inbox")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(seen, 1, "its own");
    // It may neither suppress another tenant's work nor let its own be done again.
    for forbidden in [
        format!(
            "SELECT aftercommit.inbox_claim(gen_random_uuid(), 'letters/post', '{organization}', NULL, '', \
             'organization', '{organization}', NULL)"
        ),
        "DELETE FROM aftercommit.inbox".to_owned(),
        "UPDATE aftercommit.inbox SET handler = 'x'".to_owned(),
    ] {
        transaction.execute("SAVEPOINT before").await.unwrap();
        let refused = transaction.execute(AssertSqlSafe(forbidden.clone())).await;
        assert!(refused.is_err(), "{forbidden}");
        transaction.execute("ROLLBACK TO before").await.unwrap();
    }
}
