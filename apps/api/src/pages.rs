//! The two pages that links in e-mails lead to. They show a button; only pressing it uses the link, because programs
//! that look at mail follow links too. The token is the fragment of the address, which the browser does not send.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
};
use axum::response::{IntoResponse, Response};

use crate::ApiState;

const SIGN_IN: &str = include_str!("../pages/sign-in.html");
const INVITATION: &str = include_str!("../pages/invitation.html");

pub(crate) async fn sign_in(State(state): State<ApiState>) -> Response {
    page(&state, SIGN_IN)
}

pub(crate) async fn invitation(State(state): State<ApiState>) -> Response {
    page(&state, INVITATION)
}

fn page(state: &ApiState, html: &str) -> Response {
    let mut bytes = [0_u8; 16];
    state.reference.randomness.fill(&mut bytes);
    let nonce = bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.extend(HeaderValue::from_str(&policy).map(|value| (CONTENT_SECURITY_POLICY, value)));
    (headers, html.replace("{nonce}", &nonce)).into_response()
}
