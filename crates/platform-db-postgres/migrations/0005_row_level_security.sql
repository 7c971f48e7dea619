-- Row-level security, forced, so that it holds for the owner of the tables as well (a superuser is never held).
--
-- Whoever owns the tables is the engine: outside a unit of work it sees everything, inside one what the unit's tenant may
-- see. Every other role sees what its transaction's tenant may see, and nothing when it has none.

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'outbox', 'event_log', 'dead_letters', 'dead_letter_actions', 'task_outcomes', 'tasks'
    ] LOOP
        EXECUTE format('ALTER TABLE aftercommit.%I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE aftercommit.%I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY engine ON aftercommit.%I TO CURRENT_USER '
            'USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL)',
            table_name
        );
        EXECUTE format(
            'CREATE POLICY tenant ON aftercommit.%I '
            'USING (aftercommit.may_touch(organization_id, project_id)) '
            'WITH CHECK (aftercommit.may_touch(organization_id, project_id))',
            table_name
        );
    END LOOP;
END
$$;

-- A unit of work may also write what belongs to no tenant, such as a person who is in several.
CREATE POLICY system_messages ON aftercommit.outbox FOR INSERT
    WITH CHECK (aftercommit.current_scope() IS NOT NULL AND organization_id IS NULL);

-- And a project's, what belongs to its whole organization; may_touch covers that.

-- Consumers belong to nobody's tenant: the engine's alone.
ALTER TABLE aftercommit.consumers ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.consumers FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.consumers TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
