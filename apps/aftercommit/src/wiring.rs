//! What the process is made of: the reference product's API and its workers.

use std::sync::OnceLock;

use aftercommit::Aftercommit;
use aftercommit::config::Settings;

use crate::commands::program;

/// What this program has beside: set once, first thing.
static PLUGGED_IN: OnceLock<fn(Aftercommit) -> Aftercommit> = OnceLock::new();

/// From now on every application is given to `plug` first.
pub(crate) fn plug_in(plug: fn(Aftercommit) -> Aftercommit) {
    // A program does so once; a second time would be the same.
    let _ = PLUGGED_IN.set(plug);
}

/// Everything in one process.
pub(crate) fn application() -> Aftercommit {
    let application = Aftercommit::from_env().reference_product();
    let application = match PLUGGED_IN.get() {
        Some(plug) => plug(application),
        None => application,
    };
    let application = aftercommit_workers::wiring::register(aftercommit_api::wiring::register(application));
    aftercommit_workers::wiring::register_workflows(application)
}

/// What the first screen suggests: three lines that work when they are pasted into another terminal, even all at once.
pub(crate) fn next_steps(settings: &Settings) -> String {
    let program = program();
    let mail = if settings.mail.smtp.is_some() {
        String::new()
    } else {
        format!(
            "; head -n 20 {}/*.eml",
            quoted(&settings.mail.dir.display().to_string())
        )
    };
    format!(
        r#"  Try it in another terminal, in the same directory:

KEY=$(curl -sS http://{{address}}/v1/organizations -H 'content-type: application/json' -d '{{"name":"Acme","owner_email":"ada@acme.example"}}' | sed -n 's/.*"api_key" *: *"\([^"]*\)".*/\1/p')
curl -sS -w '\n' http://{{address}}/v1/invitations -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{{"email":"grace@acme.example","role":"member"}}'
sleep 1; {program} tasks list{mail}"#
    )
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
