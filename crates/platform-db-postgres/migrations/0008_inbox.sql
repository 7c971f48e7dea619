-- The inbox: which messages a handler has done, claimed in the transaction it does them in.

CREATE TABLE aftercommit.inbox (
    message_id      uuid        NOT NULL,
    handler         text        NOT NULL,
    -- Empty for none, so that they can be part of the key: an id of one tenant says nothing about another's.
    organization_id text        NOT NULL,
    project_id      text        NOT NULL,
    -- What the message said: to notice another one under its id.
    payload         bytea       NOT NULL,
    claimed_at      timestamptz NOT NULL,
    PRIMARY KEY (message_id, handler, organization_id, project_id)
) WITH (
    -- Rows come at one end and go at the other.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.1
);

CREATE INDEX inbox_claimed ON aftercommit.inbox (claimed_at);

ALTER TABLE aftercommit.inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.inbox FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.inbox TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY tenant ON aftercommit.inbox
    USING (aftercommit.may_touch(nullif(organization_id, ''), nullif(project_id, '')))
    WITH CHECK (aftercommit.may_touch(nullif(organization_id, ''), nullif(project_id, '')));
-- A unit of work may also do what belongs to no tenant, as it may write it.
CREATE POLICY system_messages ON aftercommit.inbox
    USING (aftercommit.current_scope() IS NOT NULL AND organization_id = '')
    WITH CHECK (aftercommit.current_scope() IS NOT NULL AND organization_id = '');

-- Claims a message in the caller's transaction. Answers NULL to the first; to every other what the message said then. Waits for
-- a transaction that has claimed it and is open, but not for ever.
CREATE FUNCTION aftercommit.inbox_claim(
    message uuid, of_handler text, of_organization text, of_project text, said bytea,
    scope text, organization text, project text
) RETURNS bytea
    LANGUAGE plpgsql
    SET lock_timeout = '5s'
    AS $$
DECLARE
    has_no_scope boolean := aftercommit.current_scope() IS NULL;
    earlier      bytea;
BEGIN
    -- A transaction of the application's own says whose it is only here.
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', scope, true),
            set_config('aftercommit.organization_id', coalesce(organization, ''), true),
            set_config('aftercommit.project_id', coalesce(project, ''), true);
    END IF;
    INSERT INTO aftercommit.inbox (message_id, handler, organization_id, project_id, payload, claimed_at)
    VALUES (message, of_handler, coalesce(of_organization, ''), coalesce(of_project, ''), said, aftercommit.clock())
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT payload INTO STRICT earlier FROM aftercommit.inbox
        WHERE message_id = message AND handler = of_handler
            AND organization_id = coalesce(of_organization, '') AND project_id = coalesce(of_project, '');
    END IF;
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', '', true);
    END IF;
    RETURN earlier;
END
$$;
