//! An organization that signed up, and what it asks for.

use serde_json::{Value, json};

use crate::{Answer, Api};

/// An organization that signed up.
#[derive(Debug, Clone)]
pub struct Account {
    /// The organization.
    pub organization_id: String,
    /// Its default project.
    pub project_id: String,
    /// Its first key.
    pub key: String,
    /// A client with that key.
    pub api: Api,
}

impl Account {
    /// Signs an organization up, owned by `owner@<name>.example`.
    pub async fn sign_up(api: &Api, name: &str) -> Self {
        let owner = format!("owner@{}.example", name.to_ascii_lowercase());
        let made = api
            .post("/v1/organizations", &json!({"name": name, "owner_email": owner}))
            .await
            .expect(201);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self {
            organization_id: text("organization_id"),
            project_id: text("project_id"),
            key: text("api_key"),
            api: api.with_key(&text("api_key")),
        }
    }

    /// The same account at a process that was started later.
    pub fn at(&self, api: &Api) -> Self {
        Self {
            api: api.with_key(&self.key),
            ..self.clone()
        }
    }

    /// Invites someone, and answers the invitation's id.
    pub async fn invite(&self, email: &str) -> String {
        let made = self.try_invite(email).await.unwrap().expect(202);
        made["invitation_id"].as_str().unwrap().to_owned()
    }

    /// Invites someone at a process that may be gone.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn try_invite(&self, email: &str) -> Result<Answer, reqwest::Error> {
        self.api.try_post("/v1/invitations", &invitation(email)).await
    }
}

fn invitation(email: &str) -> Value {
    json!({"email": email, "role": "member"})
}
