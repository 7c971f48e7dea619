-- Webhooks of a project. What they are signed with is sealed.

CREATE TABLE reference_webhook_endpoints (
    organization_id TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    project_id      TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    -- Names of events with spaces between them.
    events          TEXT    NOT NULL,
    secret_key      TEXT    NOT NULL,
    secret          BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    -- How deliveries went since the last one that was taken.
    failures        INTEGER NOT NULL,
    failing_since   INTEGER,
    cools_down_until    INTEGER,
    disabled_at     INTEGER,
    disabled_reason TEXT,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT;

CREATE INDEX reference_webhook_endpoints_project
    ON reference_webhook_endpoints (organization_id, project_id, created_at);
