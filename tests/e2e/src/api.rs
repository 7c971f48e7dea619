//! An HTTP client that asserts what it gets.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(20);

/// A client of one process, with one key or none. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    url: String,
    key: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its type, without parameters.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

impl Api {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            client: client(),
            url: url.to_owned(),
            key: None,
        }
    }

    /// The same client for another process.
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// The same client with this key.
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// `http://<address>`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request to be completed by hand and given to [`send`](Self::send).
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        answer(request).await.unwrap()
    }

    /// `POST` of 2 MiB of JSON, on a connection of its own, which the process closes after its answer. `None` when that
    /// came too early for who was still sending.
    pub async fn post_two_mebibytes(&self, path: &str) -> Option<Answer> {
        let own = Self {
            client: client(),
            ..self.clone()
        };
        let body = vec![b' '; 2 << 20];
        let request = own
            .request("POST", path)
            .header("content-type", "application/json")
            .body(body);
        answer(request).await.ok()
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    /// `GET` of a process that may be gone.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        answer(self.request("GET", path)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    /// `POST` to a process that may be gone.
    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        answer(self.request("POST", path).json(body)).await
    }

    /// A request with a body that need not be JSON.
    pub async fn raw(&self, method: &str, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(method, path).header("content-type", content_type);
        self.send(request.body(body.into())).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request("DELETE", path)).await.unwrap()
    }
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
}

async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let content_type = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .unwrap_or_default()
        .to_owned();
    Ok(Answer {
        status: response.status().as_u16(),
        content_type,
        body: response.text().await?,
    })
}

impl Answer {
    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// It has another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The problem document of this status and code.
    ///
    /// # Panics
    /// It is none, or another one.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        let document = self.expect(status);
        assert_eq!(document["status"], status, "{self:?}");
        assert_eq!(document["code"], code, "{self:?}");
        for member in ["title", "detail"] {
            assert!(
                document[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {self:?}"
            );
        }
        document
    }
}
