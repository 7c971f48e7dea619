-- Troubles that records tell of.

CREATE TABLE reference_incidents (
    organization_id TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    project_id      TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    record_id       BLOB    NOT NULL,
    -- When the record came that told of it, and the one that told it is over.
    told_at         INTEGER NOT NULL,
    opened_at       INTEGER NOT NULL,
    closed_at       INTEGER,
    closed_told_at  INTEGER,
    PRIMARY KEY (organization_id, id),
    CHECK ((closed_at IS NULL) = (closed_told_at IS NULL)),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;

-- Whoever is told twice opens one.
CREATE UNIQUE INDEX reference_incidents_open
    ON reference_incidents (organization_id, project_id, source) WHERE closed_at IS NULL;
CREATE INDEX reference_incidents_source ON reference_incidents (organization_id, project_id, source, told_at DESC);
-- For the sweep, over all organizations.
CREATE INDEX reference_incidents_open_id ON reference_incidents (id) WHERE closed_at IS NULL;
