-- What a project holds, as a file. The file itself is in the object storage.

CREATE TABLE reference.exports (
    organization_id   text        NOT NULL,
    id                uuid        NOT NULL,
    project_id        text        NOT NULL,
    kind              text        NOT NULL,
    recipient_user_id uuid        NOT NULL REFERENCES reference.users (id),
    requested_at      timestamptz NOT NULL,
    state             text        NOT NULL CHECK (state IN ('requested', 'running', 'ready', 'failed', 'cancelled')),
    -- Collected so far, or in the file.
    rows              bigint      NOT NULL,
    bytes             bigint      NOT NULL,
    -- The key of the file, of a ready one.
    file              text,
    -- Why it failed.
    reason            text,
    ended_at          timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

ALTER TABLE reference.exports ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.exports FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.exports TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.exports
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
