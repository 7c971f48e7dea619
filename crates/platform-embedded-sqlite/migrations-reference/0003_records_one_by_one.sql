-- Records one by one: by the batch they came with last, by id, and by what they say.

CREATE UNIQUE INDEX reference_records_id ON reference_records (organization_id, project_id, id);
CREATE INDEX reference_records_batch ON reference_records (organization_id, project_id, batch, id);

CREATE TABLE reference_search_index (
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    record_id       BLOB    NOT NULL,
    -- In lower case.
    text            TEXT    NOT NULL,
    indexed_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, project_id, record_id),
    -- What is put late finds its record gone, and what was put goes with it.
    FOREIGN KEY (organization_id, project_id, record_id)
        REFERENCES reference_records (organization_id, project_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
