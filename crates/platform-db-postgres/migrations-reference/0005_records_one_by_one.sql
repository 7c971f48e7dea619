-- Records one by one: by the batch they came with last, by id, and by what they say.

CREATE UNIQUE INDEX records_id ON reference.records (organization_id, project_id, id);
CREATE INDEX records_batch ON reference.records (organization_id, project_id, batch, id);

CREATE TABLE reference.search_index (
    organization_id text        NOT NULL,
    project_id      text        NOT NULL,
    record_id       uuid        NOT NULL,
    -- In lower case.
    text            text        NOT NULL,
    indexed_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, project_id, record_id),
    -- What is put late finds its record gone, and what was put goes with it.
    FOREIGN KEY (organization_id, project_id, record_id)
        REFERENCES reference.records (organization_id, project_id, id) ON DELETE CASCADE
);

ALTER TABLE reference.search_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.search_index FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.search_index TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.search_index
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
