-- What members are told, what of it they want by e-mail, and what happened in a week of a project.

CREATE TABLE reference_notifications (
    organization_id  TEXT    NOT NULL,
    id               BLOB    NOT NULL,
    project_id       TEXT    NOT NULL,
    user_id          BLOB    NOT NULL REFERENCES reference_users (id),
    kind             TEXT    NOT NULL,
    subject_id       BLOB    NOT NULL,
    idempotency_key  TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    emailed_at       INTEGER,
    -- The task that sends the e-mail, and since when.
    email_task       BLOB,
    email_claimed_at INTEGER,
    PRIMARY KEY (organization_id, id),
    -- A person is told the same thing once.
    UNIQUE (organization_id, user_id, idempotency_key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX reference_notifications_project ON reference_notifications (organization_id, project_id);

CREATE TABLE reference_notification_preferences (
    organization_id TEXT    NOT NULL REFERENCES reference_organizations (id),
    user_id         BLOB    NOT NULL REFERENCES reference_users (id),
    incident_emails INTEGER NOT NULL,
    digest_emails   INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reference_digests (
    organization_id  TEXT    NOT NULL,
    id               BLOB    NOT NULL,
    project_id       TEXT    NOT NULL,
    -- When the week ends: the slot of the tick that asked for it.
    until            INTEGER NOT NULL,
    records          INTEGER NOT NULL,
    incidents_opened INTEGER NOT NULL,
    incidents_closed INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, project_id, until),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;
