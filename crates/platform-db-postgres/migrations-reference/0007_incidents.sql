-- Troubles that records tell of.

CREATE TABLE reference.incidents (
    organization_id text        NOT NULL,
    id              uuid        NOT NULL,
    project_id      text        NOT NULL,
    source          text        NOT NULL,
    record_id       uuid        NOT NULL,
    -- When the record came that told of it, and the one that told it is over.
    told_at         timestamptz NOT NULL,
    opened_at       timestamptz NOT NULL,
    closed_at       timestamptz,
    closed_told_at  timestamptz,
    PRIMARY KEY (organization_id, id),
    CHECK ((closed_at IS NULL) = (closed_told_at IS NULL)),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

-- Whoever is told twice opens one.
CREATE UNIQUE INDEX incidents_open ON reference.incidents (organization_id, project_id, source) WHERE closed_at IS NULL;
CREATE INDEX incidents_source ON reference.incidents (organization_id, project_id, source, told_at DESC);
-- For the sweep, over all organizations.
CREATE INDEX incidents_open_id ON reference.incidents (id) WHERE closed_at IS NULL;

ALTER TABLE reference.incidents ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.incidents FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.incidents TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.incidents
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
