//! What a tenant tries by SQL of its own, without a word of whose rows it means.

use crate::side::Side;

/// `:mine` and `:theirs` are organizations, `:my_project` and `:their_project` projects of theirs.
pub(crate) const STATEMENTS: [&str; 49] = [
    "UPDATE reference.organizations SET name = 'x'",
    "DELETE FROM reference.organizations",
    "UPDATE reference.organizations SET name = 'x' WHERE id = ':theirs'",
    "UPDATE reference.organizations SET id = ':theirs'",
    "UPDATE reference.projects SET name = 'x', deleted_at = now()",
    "UPDATE reference.projects SET organization_id = ':theirs'",
    "DELETE FROM reference.projects WHERE NOT is_default",
    "UPDATE reference.memberships SET role = 'owner'",
    "UPDATE reference.memberships SET organization_id = ':theirs'",
    "DELETE FROM reference.memberships",
    "UPDATE reference.api_keys SET revoked_at = now()",
    "UPDATE reference.api_keys SET organization_id = ':theirs', project_id = ':their_project'",
    "DELETE FROM reference.api_keys",
    "UPDATE reference.invitations SET revoked_at = now(), email_task = NULL",
    "UPDATE reference.invitations SET organization_id = ':theirs', project_id = ':their_project'",
    "DELETE FROM reference.invitations",
    "UPDATE reference.invitation_tokens SET token = decode(md5(number::text), 'hex')",
    "DELETE FROM reference.invitation_tokens",
    "UPDATE reference.records SET body = '\"x\"'",
    "UPDATE reference.records SET organization_id = ':theirs', project_id = ':their_project', key = 'z' WHERE key = 'a'",
    "DELETE FROM reference.records",
    "UPDATE reference.search_index SET text = 'x'",
    "DELETE FROM reference.search_index",
    "UPDATE reference.incidents SET closed_at = now(), closed_told_at = now()",
    "UPDATE reference.incidents SET organization_id = ':theirs', project_id = ':their_project'",
    "DELETE FROM reference.incidents",
    "UPDATE reference.notifications SET emailed_at = now(), user_id = user_id",
    "DELETE FROM reference.notifications",
    "DELETE FROM reference.notification_preferences",
    "DELETE FROM reference.digests",
    "UPDATE reference.exports SET state = 'failed', reason = 'x', ended_at = now()",
    "DELETE FROM reference.exports",
    "UPDATE reference.overage_reports SET reported_at = now()",
    "UPDATE reference.billing_ledger SET records = 0",
    "DELETE FROM reference.billing_ledger",
    "UPDATE reference.requests SET answer = NULL",
    "UPDATE reference.requests SET organization_id = ':theirs'",
    "DELETE FROM reference.requests",
    "UPDATE reference.users SET email_key = 'x'",
    "DELETE FROM reference.users",
    "INSERT INTO reference.projects (organization_id, id, name, is_default, created_at) \
     VALUES (':theirs', gen_random_uuid()::text, 'x', false, now())",
    "INSERT INTO reference.records (organization_id, project_id, key, id, body, batch, received_at) \
     VALUES (':theirs', ':their_project', 'a', gen_random_uuid(), '2', 'x', now()) \
     ON CONFLICT (organization_id, project_id, key) DO UPDATE SET body = excluded.body",
    "INSERT INTO reference.records (organization_id, project_id, key, id, body, batch, received_at) \
     VALUES (':theirs', ':their_project', gen_random_uuid()::text, gen_random_uuid(), '2', 'x', now())",
    "INSERT INTO reference.requests (organization_id, route, key, id, fingerprint, claimed_at) \
     VALUES (':theirs', 'x', gen_random_uuid()::text, gen_random_uuid(), '', now())",
    "INSERT INTO aftercommit.outbox (id, kind, written_at, organization_id, project_id, body) \
     VALUES (gen_random_uuid(), 'event', now(), ':theirs', ':their_project', '')",
    "SELECT aftercommit.write_event('ProjectCreated', ':theirs', ':their_project', 'project', 'x', '{}')",
    "SELECT aftercommit.write_event('ProjectCreated', ':mine', ':my_project', 'project', 'x', '{}')",
    "UPDATE aftercommit.outbox SET attempts = 99",
    "DELETE FROM aftercommit.outbox",
];

pub(crate) fn statement(number: usize, mine: &Side, theirs: &Side) -> String {
    STATEMENTS[number]
        .replace(":mine", mine.organization.as_str())
        .replace(":theirs", theirs.organization.as_str())
        .replace(":my_project", mine.project.as_str())
        .replace(":their_project", theirs.project.as_str())
}
