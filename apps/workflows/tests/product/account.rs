//! An organization that signed up, and what it asks for over HTTP.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// How long an answer may take on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many bytes of records one request has, below the limit of the API.
const BATCH: usize = 900 * 1024;

/// An organization that signed up.
pub(crate) struct Account {
    client: Client,
    url: String,
    key: String,
    pub(crate) organization_id: String,
    /// Its default project.
    pub(crate) project_id: String,
    /// Its owner.
    pub(crate) user_id: String,
}

impl Account {
    /// Signs an organization up at this API, owned by `owner@acme.example`.
    pub(crate) async fn sign_up(url: &str) -> Self {
        let client = Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        let request = client.post(format!("{url}/v1/organizations"));
        let body = json!({ "name": "Acme", "owner_email": "owner@acme.example" });
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let made: Value = answer.json().await.unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self {
            client,
            url: url.to_owned(),
            key: text("api_key"),
            organization_id: text("organization_id"),
            project_id: text("project_id"),
            user_id: text("user_id"),
        }
    }

    /// Asks, with the key of the organization; answers the body of an answer of this status.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>, status: u16) -> Value {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(got, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Puts records of this size into its project; answers their keys.
    pub(crate) async fn put_records(&self, count: usize, bytes: usize) -> Vec<String> {
        let keys: Vec<String> = (0..count).map(|number| format!("record-{number}")).collect();
        let path = format!("/v1/projects/{}/records:batch", self.project_id);
        for keys in keys.chunks((BATCH / bytes).max(1)) {
            let records = keys
                .iter()
                .map(|key| json!({ "key": key, "body": { "text": "x".repeat(bytes) } }));
            let records: Vec<Value> = records.collect();
            let body = json!({ "records": records });
            let taken = self.ask(Method::POST, &path, Some(&body), 202).await;
            assert_eq!(taken["accepted"], keys.len());
        }
        keys
    }

    /// Asks for an export of its records for its owner; answers its id.
    pub(crate) async fn ask_for_export(&self) -> String {
        let path = format!("/v1/projects/{}/exports", self.project_id);
        let body = json!({ "kind": "records", "recipient_user_id": self.user_id });
        let asked = self.ask(Method::POST, &path, Some(&body), 202).await;
        asked["export_id"].as_str().unwrap().to_owned()
    }

    /// The export as it is now.
    pub(crate) async fn export(&self, id: &str) -> Value {
        self.ask(Method::GET, &format!("/v1/exports/{id}"), None, 200).await
    }

    /// What is behind a link, without a key.
    pub(crate) async fn download(&self, url: &str) -> String {
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap()
    }
}
