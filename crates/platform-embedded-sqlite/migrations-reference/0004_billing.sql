-- What is used beyond what is included: how it was reported, and what stands in for whoever charges for it.

CREATE TABLE reference_overage_reports (
    organization_id TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    project_id      TEXT    NOT NULL,
    -- The first day, in UTC: 2026-11-01.
    month           TEXT    NOT NULL,
    reported_before INTEGER NOT NULL,
    up_to           INTEGER NOT NULL CHECK (up_to > reported_before),
    created_at      INTEGER NOT NULL,
    reported_at     INTEGER,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;

-- What was decided is reported before anything else is.
CREATE UNIQUE INDEX reference_overage_reports_pending
    ON reference_overage_reports (organization_id, project_id, month) WHERE reported_at IS NULL;
CREATE INDEX reference_overage_reports_month ON reference_overage_reports (organization_id, project_id, month);

-- The stand-in for a billing provider: what it was told, once for each key.
CREATE TABLE reference_billing_ledger (
    organization_id TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    month           TEXT    NOT NULL,
    records         INTEGER NOT NULL,
    taken_down_at   INTEGER NOT NULL,
    PRIMARY KEY (organization_id, idempotency_key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX reference_billing_ledger_month ON reference_billing_ledger (organization_id, project_id, month);
