-- What members are told, and what of it they want by e-mail.

CREATE TABLE reference.notifications (
    organization_id  text        NOT NULL,
    id               uuid        NOT NULL,
    project_id       text        NOT NULL,
    user_id          uuid        NOT NULL REFERENCES reference.users (id),
    kind             text        NOT NULL,
    subject_id       uuid        NOT NULL,
    idempotency_key  text        NOT NULL,
    created_at       timestamptz NOT NULL,
    emailed_at       timestamptz,
    -- The task that sends the e-mail, and since when.
    email_task       uuid,
    email_claimed_at timestamptz,
    PRIMARY KEY (organization_id, id),
    -- A person is told the same thing once.
    UNIQUE (organization_id, user_id, idempotency_key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

CREATE INDEX notifications_project ON reference.notifications (organization_id, project_id);

CREATE TABLE reference.notification_preferences (
    organization_id text        NOT NULL REFERENCES reference.organizations (id),
    user_id         uuid        NOT NULL REFERENCES reference.users (id),
    incident_emails boolean     NOT NULL,
    digest_emails   boolean     NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

ALTER TABLE reference.notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.notifications FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.notifications TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.notifications
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));

ALTER TABLE reference.notification_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.notification_preferences FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.notification_preferences TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.notification_preferences
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
