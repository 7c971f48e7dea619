-- What a project used, month by month.

CREATE TABLE reference_usage_periods (
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    -- The first day, in UTC: 2026-11-01.
    month           TEXT    NOT NULL,
    batches         INTEGER NOT NULL,
    records         INTEGER NOT NULL,
    PRIMARY KEY (organization_id, project_id, month),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;
