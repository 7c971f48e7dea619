-- What a project used, month by month.

CREATE TABLE reference.usage_periods (
    organization_id text   NOT NULL,
    project_id      text   NOT NULL,
    -- The first day, in UTC.
    month           date   NOT NULL,
    batches         bigint NOT NULL,
    records         bigint NOT NULL,
    PRIMARY KEY (organization_id, project_id, month),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
) WITH (
    -- Counted up all the time: room for the new version beside the old one.
    fillfactor = 50
);

ALTER TABLE reference.usage_periods ENABLE ROW LEVEL SECURITY;
ALTER TABLE reference.usage_periods FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON reference.usage_periods TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON reference.usage_periods
    USING (aftercommit.may_touch(organization_id, NULL)) WITH CHECK (aftercommit.may_touch(organization_id, NULL));
