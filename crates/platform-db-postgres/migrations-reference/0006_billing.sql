-- What is used beyond what is included: how it was reported, and what stands in for whoever charges for it.

CREATE TABLE reference.overage_reports (
    organization_id text        NOT NULL,
    id              uuid        NOT NULL,
    project_id      text        NOT NULL,
    -- The first day, in UTC.
    month           date        NOT NULL,
    reported_before bigint      NOT NULL,
    up_to           bigint      NOT NULL CHECK (up_to > reported_before),
    created_at      timestamptz NOT NULL,
    reported_at     timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

-- What was decided is reported before anything else is.
CREATE UNIQUE INDEX overage_reports_pending ON reference.overage_reports (organization_id, project_id, month)
    WHERE reported_at IS NULL;
CREATE INDEX overage_reports_month ON reference.overage_reports (organization_id, project_id, month);

-- The stand-in for a billing provider: what it was told, once for each key.
CREATE TABLE reference.billing_ledger (
    organization_id text        NOT NULL,
    idempotency_key text        NOT NULL,
    project_id      text        NOT NULL,
    month           date        NOT NULL,
    records         bigint      NOT NULL,
    taken_down_at   timestamptz NOT NULL,
    PRIMARY KEY (organization_id, idempotency_key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

CREATE INDEX billing_ledger_month ON reference.billing_ledger (organization_id, project_id, month);

ALTER TABLE reference.overage_reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.overage_reports FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.overage_reports TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.overage_reports
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));

ALTER TABLE reference.billing_ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.billing_ledger FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.billing_ledger TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.billing_ledger
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
