-- What a project holds, as a file. The file itself is in the object storage.

CREATE TABLE reference_exports (
    organization_id   TEXT    NOT NULL,
    id                BLOB    NOT NULL,
    project_id        TEXT    NOT NULL,
    kind              TEXT    NOT NULL,
    recipient_user_id BLOB    NOT NULL REFERENCES reference_users (id),
    requested_at      INTEGER NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN ('requested', 'running', 'ready', 'failed', 'cancelled')),
    -- Collected so far, or in the file.
    rows              INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    -- The key of the file, of a ready one.
    file              TEXT,
    -- Why it failed.
    reason            TEXT,
    ended_at          INTEGER,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;
