//! Invitations.

use aftercommit_domain::contract::Cause;
use aftercommit_domain::contract::Scope;
use aftercommit_domain::reference::Progress;
use aftercommit_domain::reference::invitations::use_cases::claim_invitation_email;
use aftercommit_domain::reference::invitations::{InvitationCreated, InvitationProlonged, SendInvitationEmail};
use aftercommit_domain::time::{Clock as _, days};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;

async fn invite(client: &Client) -> String {
    let answer = client
        .post(
            "/v1/invitations",
            json!({ "email": "ada@example.com", "role": "admin" }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.body["invitation_id"].as_str().unwrap().to_owned()
}

/// The token of the link that would be mailed now.
async fn mailed_token(client: &Client, made: &Value, invitation: &str) -> String {
    let task = SendInvitationEmail {
        organization_id: made["organization_id"].as_str().unwrap().parse().unwrap(),
        invitation_id: invitation.parse().unwrap(),
    };
    let task_id = client.harness.services.envelopes.new_id();
    let claimed = claim_invitation_email(&client.harness.ports, &Cause::root(), &task, task_id).await;
    let Progress::Done(email) = claimed.unwrap() else {
        panic!("it is not to be mailed");
    };
    let (_, token) = email.url.expose().split_once('#').unwrap();
    token.to_owned()
}

#[tokio::test]
async fn an_invitation_is_told_of_with_its_expiry_and_asks_for_its_email_by_id_only() {
    let (client, made) = Client::signed_up().await;
    let id = invite(&client).await;
    let events = client.harness.take_events().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["InvitationCreated", "InvitationEmailRequested"]);
    let created: InvitationCreated = client.harness.read(&events[0]);
    assert_eq!(created.invitation_id.to_string(), id);
    assert_eq!(created.project_id.as_str(), made["project_id"]);
    assert_eq!(created.expires_at - client.harness.services.clock.now(), chrono_days(7));
    assert_eq!(events[1].tenant.scope(), Scope::Organization);
    assert!(events.iter().all(|event| !event.encode().contains("ada@")));
}

#[tokio::test]
async fn accepting_makes_a_member_and_accepting_again_changes_nothing() {
    let (client, made) = Client::signed_up().await;
    let id = invite(&client).await;
    let token = mailed_token(&client, &made, &id).await;
    client.harness.take_events().await;
    let path = format!("/v1/invitations/{id}/accept");
    let accepted = client.post(&path, json!({ "token": token })).await;
    assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
    assert_eq!(accepted.body["organization_id"], made["organization_id"]);
    assert_eq!(accepted.body["project_id"], made["project_id"]);
    let events = client.harness.take_events().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["UserSignedUp", "MemberJoined"]);

    let again = client.post(&path, json!({ "token": token })).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.body, accepted.body);
    assert!(client.harness.take_events().await.is_empty());
    client
        .delete(format!("/v1/invitations/{id}"))
        .await
        .is_problem(409, "invitation.accepted");
}

#[tokio::test]
async fn a_wrong_token_finds_no_invitation() {
    let (client, made) = Client::signed_up().await;
    let (id, other) = (invite(&client).await, invite(&client).await);
    let token_of_other = mailed_token(&client, &made, &other).await;
    let path = format!("/v1/invitations/{id}/accept");
    for token in ["", "x", &"0".repeat(64), &token_of_other] {
        client
            .post(&path, json!({ "token": token }))
            .await
            .is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_revoked_invitation_cannot_be_accepted_and_revoking_again_changes_nothing() {
    let (client, made) = Client::signed_up().await;
    let id = invite(&client).await;
    let token = mailed_token(&client, &made, &id).await;
    for _ in 0..2 {
        let revoked = client.delete(format!("/v1/invitations/{id}")).await;
        assert_eq!(revoked.status, StatusCode::OK);
        assert_eq!(revoked.body["invitation_id"], id);
    }
    client
        .post(&format!("/v1/invitations/{id}/accept"), json!({ "token": token }))
        .await
        .is_problem(410, "invitation.revoked");
}

#[tokio::test]
async fn an_expired_invitation_cannot_be_accepted() {
    let (client, made) = Client::signed_up().await;
    let id = invite(&client).await;
    let token = mailed_token(&client, &made, &id).await;
    client.harness.services.clock.advance(days(7));
    client
        .post(&format!("/v1/invitations/{id}/accept"), json!({ "token": token }))
        .await
        .is_problem(410, "invitation.expired");
}

fn chrono_days(n: u64) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(days(n)).unwrap()
}

#[tokio::test]
async fn prolonging_moves_the_expiry_and_only_of_an_open_invitation() {
    let (client, _) = Client::signed_up().await;
    let id = invite(&client).await;
    client.harness.take_events().await;
    client.harness.services.clock.advance(days(5));
    let path = format!("/v1/invitations/{id}/prolong");
    let answer = client.post(&path, json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let events = client.harness.take_events().await;
    let prolonged: InvitationProlonged = client.harness.read(&events[0]);
    assert_eq!(
        prolonged.expires_at - client.harness.services.clock.now(),
        chrono_days(7)
    );
    assert_eq!(answer.body["expires_at"], json!(prolonged.expires_at));

    client
        .post(&path, json!({"by": "7d"}))
        .await
        .is_problem(422, "input.invalid");
    client.delete(format!("/v1/invitations/{id}")).await;
    client
        .post(&path, json!({}))
        .await
        .is_problem(410, "invitation.revoked");
    let other = invite(&client).await;
    client.harness.services.clock.advance(days(7));
    let path = format!("/v1/invitations/{other}/prolong");
    client
        .post(&path, json!({}))
        .await
        .is_problem(410, "invitation.expired");
    let stranger = client.sign_up("Umbrella", "owner@umbrella.test").await;
    let foreign = client.with_key(&stranger).post(&path, json!({})).await;
    foreign.is_problem(404, "not_found");
}
