//! What the process is made of: the reference product's API and its workers.

use aftercommit::Aftercommit;
use aftercommit::config::Settings;

use crate::commands::program;

/// Everything in one process.
pub(crate) fn application() -> Aftercommit {
    let application = Aftercommit::from_env().reference_product();
    aftercommit_workers::wiring::register(aftercommit_api::wiring::register(application))
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
