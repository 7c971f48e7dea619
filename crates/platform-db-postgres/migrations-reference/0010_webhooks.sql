-- Webhooks of a project. What they are signed with is sealed.

CREATE TABLE reference.webhook_endpoints (
    organization_id text        NOT NULL,
    id              uuid        NOT NULL,
    project_id      text        NOT NULL,
    url             text        NOT NULL,
    -- Names of events.
    events          text[]      NOT NULL,
    secret_key      text        NOT NULL,
    secret          bytea       NOT NULL,
    created_at      timestamptz NOT NULL,
    -- How deliveries went since the last one that was taken.
    failures        integer     NOT NULL,
    failing_since   timestamptz,
    cools_down_until    timestamptz,
    disabled_at     timestamptz,
    disabled_reason text,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

CREATE INDEX webhook_endpoints_project ON reference.webhook_endpoints (organization_id, project_id, created_at);

ALTER TABLE reference.webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.webhook_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.webhook_endpoints TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.webhook_endpoints
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
