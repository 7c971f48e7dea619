-- What happened in a week of a project.

CREATE TABLE reference.digests (
    organization_id  text        NOT NULL,
    id               uuid        NOT NULL,
    project_id       text        NOT NULL,
    -- When the week ends: the slot of the tick that asked for it.
    until            timestamptz NOT NULL,
    records          bigint      NOT NULL,
    incidents_opened bigint      NOT NULL,
    incidents_closed bigint      NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, project_id, until),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

ALTER TABLE reference.digests ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.digests FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.digests TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.digests
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
