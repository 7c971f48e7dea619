-- Coalescing once more, for processes of this version: what is written is one call, and a coalesced task that is ordered has
-- its own place in its order. Those of the version before go on with `windows_known` and `windows_write`.

-- They take the same turns, and turns that two of a few hundred keys hardly ever share: publishers waited for others' keys.
DO $$
DECLARE
    before text := pg_get_functiondef('aftercommit.windows_known'::regproc);
    turns text := 'SELECT DISTINCT (hashtextextended(line.topic || E''\x1f'' || line.scope, 0) & 8191)::integer';
BEGIN
    IF position(turns IN before) = 0 THEN
        RAISE EXCEPTION 'aftercommit.windows_known is not the one of migration 13';
    END IF;
    EXECUTE replace(before, turns, 'SELECT DISTINCT hashtext(line.topic || E''\x1f'' || line.scope)');
END
$$;

-- The time by now, whenever the transaction began: who has waited for a turn is later than who had it.
CREATE FUNCTION aftercommit.clock_by_now() RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL SAFE
    AS 'SELECT clock_timestamp()';

-- What is known of these keys, each of them once, and which of these publishes were made before. From here on until the end of
-- the transaction nobody else publishes under these keys, and nobody takes a task whose window is open. `orders` are the order
-- keys of the publishes, as topic and scope.
CREATE FUNCTION aftercommit.windows_read(
    ids uuid[], topics text[], scopes text[], order_topics text[], order_scopes text[]
) RETURNS TABLE (
    -- 0 the time, 1 an unfinished task, 2 a publish that is remembered, 3 a publish that was made before
    kind smallint, place bigint, seq bigint, id uuid, at timestamptz, opened_at timestamptz, is_running boolean,
    is_ordered boolean
)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    turn integer;
    keys bigint[];
    now_is timestamptz;
BEGIN
    -- In one order; before the turns of order keys, and those before any row.
    FOR turn IN
        SELECT DISTINCT hashtext(line.topic || E'\x1f' || line.scope)
        FROM unnest(topics, scopes) AS line (topic, scope) ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(1634036838, turn);
    END LOOP;
    -- Also those of tasks that may be replaced: what is behind such a task comes forward then.
    SELECT array_agg(one.order_key) INTO keys FROM (
        SELECT aftercommit.task_order_key(line.topic, line.scope)
        FROM unnest(order_topics, order_scopes) AS line (topic, scope)
        UNION
        SELECT task.order_key FROM unnest(topics, scopes) AS line (topic, scope)
        JOIN aftercommit.tasks AS task ON task.topic = line.topic AND task.window_scope = line.scope
        WHERE task.window_opened_at IS NOT NULL AND task.order_key IS NOT NULL
    ) AS one (order_key);
    IF keys IS NOT NULL THEN
        PERFORM aftercommit.tasks_take_turns(keys);
    END IF;
    PERFORM FROM (
        SELECT task.seq FROM unnest(topics, scopes) AS line (topic, scope)
        JOIN aftercommit.tasks AS task ON task.topic = line.topic AND task.window_scope = line.scope
        WHERE task.window_opened_at IS NOT NULL ORDER BY task.seq FOR UPDATE OF task
    ) AS locked;

    now_is := aftercommit.clock_by_now();
    RETURN QUERY
        SELECT 0::smallint, 0::bigint, NULL::bigint, NULL::uuid, now_is, NULL::timestamptz, NULL::boolean,
            NULL::boolean;
    RETURN QUERY
        SELECT 1::smallint, line.place, task.seq, task.id, task.due_at, task.window_opened_at, task.state = 1,
            task.order_key IS NOT NULL
        FROM unnest(topics, scopes) WITH ORDINALITY AS line (topic, scope, place)
        JOIN aftercommit.tasks AS task ON task.topic = line.topic AND task.window_scope = line.scope
        ORDER BY task.seq;
    RETURN QUERY
        SELECT 2::smallint, line.place, NULL::bigint, one.id, one.until, NULL::timestamptz, NULL::boolean, NULL::boolean
        FROM unnest(topics, scopes) WITH ORDINALITY AS line (topic, scope, place)
        JOIN aftercommit.once AS one ON one.topic = line.topic AND one.window_scope = line.scope
        WHERE one.until > now_is;
    RETURN QUERY
        SELECT 3::smallint, 0::bigint, NULL::bigint, before.id, NULL::timestamptz, NULL::timestamptz, NULL::boolean,
            NULL::boolean
        FROM unnest(ids) AS line (publish)
        JOIN aftercommit.coalesced AS before ON before.id = line.publish
        UNION ALL
        -- One that is a task of its own: published before the task was coalesced, and not over.
        SELECT 3::smallint, 0::bigint, NULL::bigint, task.id, NULL::timestamptz, NULL::timestamptz, NULL::boolean,
            NULL::boolean
        FROM unnest(ids) AS line (publish)
        JOIN aftercommit.tasks AS task ON task.id = line.publish;
END
$$;

-- Writes what became of publishes, in the transaction that read what is known of their keys. `new_order_scopes` is NULL where
-- a task has no order.
CREATE FUNCTION aftercommit.windows_apply(
    removed bigint[], closed bigint[],
    replaced_seqs bigint[], replaced_ids uuid[], replaced_due timestamptz[], replaced_enqueued timestamptz[],
    replaced_correlations text[], replaced_causations uuid[], replaced_bodies bytea[],
    new_ids uuid[], new_topics text[], new_names text[], new_organizations text[], new_projects text[],
    new_due timestamptz[], new_order_scopes text[], new_enqueued timestamptz[], new_correlations text[],
    new_causations uuid[], new_bodies bytea[], new_scopes text[], new_opened timestamptz[],
    once_topics text[], once_scopes text[], once_ids uuid[], once_until timestamptz[],
    coalesced_ids uuid[], coalesced_tasks uuid[]
) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    left_keys bigint[];
BEGIN
    IF cardinality(removed) > 0 THEN
        WITH gone AS (
            DELETE FROM aftercommit.tasks AS mine WHERE mine.seq = ANY (removed) RETURNING mine.order_key
        )
        SELECT array_agg(order_key) FILTER (WHERE order_key IS NOT NULL) INTO left_keys FROM gone;
    END IF;
    IF cardinality(replaced_seqs) > 0 THEN
        UPDATE aftercommit.tasks AS mine SET
            id = line.id, due_at = line.due_at, enqueued_at = line.enqueued_at, correlation_id = line.correlation_id,
            causation_id = line.causation_id, body = line.body
        FROM unnest(
            replaced_seqs, replaced_ids, replaced_due, replaced_enqueued, replaced_correlations, replaced_causations,
            replaced_bodies
        ) AS line (seq, id, due_at, enqueued_at, correlation_id, causation_id, body)
        WHERE mine.seq = line.seq;
    END IF;
    IF cardinality(closed) > 0 THEN
        UPDATE aftercommit.tasks AS mine SET window_opened_at = NULL WHERE mine.seq = ANY (closed);
    END IF;
    IF cardinality(new_ids) > 0 THEN
        INSERT INTO aftercommit.tasks (
            id, topic, task, organization_id, project_id, state, due_at, order_key, enqueued_at, correlation_id,
            causation_id, body, window_scope, window_opened_at
        )
        SELECT line.id, line.topic, line.task, line.organization_id, line.project_id,
            CASE
                WHEN line.order_key IS NULL THEN 0
                WHEN row_number() OVER (PARTITION BY line.order_key ORDER BY line.place) > 1 THEN 2
                WHEN EXISTS (
                    SELECT FROM aftercommit.tasks AS earlier WHERE earlier.order_key = line.order_key
                ) THEN 2
                ELSE 0
            END,
            line.due_at, line.order_key, line.enqueued_at, line.correlation_id, line.causation_id, line.body, line.scope,
            line.opened_at
        FROM (
            SELECT one.*, aftercommit.task_order_key(one.topic, one.order_scope) AS order_key
            FROM unnest(
                new_ids, new_topics, new_names, new_organizations, new_projects, new_due, new_order_scopes, new_enqueued,
                new_correlations, new_causations, new_bodies, new_scopes, new_opened
            ) WITH ORDINALITY AS one (
                id, topic, task, organization_id, project_id, due_at, order_scope, enqueued_at, correlation_id,
                causation_id, body, scope, opened_at, place
            )
        ) AS line
        ORDER BY line.place;
    END IF;
    IF left_keys IS NOT NULL THEN
        PERFORM aftercommit.tasks_bring_forward(left_keys);
    END IF;
    IF cardinality(once_ids) > 0 THEN
        INSERT INTO aftercommit.once AS mine (topic, window_scope, id, until)
        SELECT * FROM unnest(once_topics, once_scopes, once_ids, once_until)
        ON CONFLICT (topic, window_scope) DO UPDATE SET id = excluded.id, until = excluded.until;
    END IF;
    INSERT INTO aftercommit.coalesced (id, task, coalesced_at)
    SELECT line.id, line.task, aftercommit.clock() FROM unnest(coalesced_ids, coalesced_tasks) AS line (id, task);
END
$$;
