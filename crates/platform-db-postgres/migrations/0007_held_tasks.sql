-- Tasks that a broker's queue keeps here because they need a memory it has not. They are tasks like any other.

-- Whether a topic has any ordered task.
CREATE INDEX tasks_ordered ON aftercommit.tasks (topic) WHERE order_key IS NOT NULL;

-- Adds tasks that have a past, all or none, in this order: none before its wait is over, counted from now. One whose id is
-- there already stays as it is.
CREATE FUNCTION aftercommit.tasks_hold(
    ids uuid[], topics text[], names text[], organizations text[], projects text[], not_before timestamptz[],
    scopes text[], enqueued timestamptz[], correlations text[], causations uuid[], bodies bytea[],
    waits bigint[], attempts_so_far integer[], lost integer[], codes text[], reasons text[]
) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    -- Row by row through an index, whatever the statistics say.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    due   timestamptz[];
    added uuid[];
BEGIN
    SELECT array_agg(
        greatest(line.not_before, aftercommit.clock() + line.micros * interval '1 microsecond') ORDER BY line.place
    ) INTO due
    FROM unnest(not_before, waits) WITH ORDINALITY AS line (not_before, micros, place);
    added := aftercommit.tasks_insert(
        ids, topics, names, organizations, projects, due, scopes, enqueued, correlations, causations, bodies
    );
    UPDATE aftercommit.tasks AS mine SET
        attempts = line.attempts, failure_code = line.code, failure = line.reason, lost_runs = line.lost,
        -- One of the runs it came with counts as lost on its own, so that a task that is alone whenever it takes its process
        -- down is given up as soon as one that was here from the beginning.
        lost_alone = least(line.lost, 1)
    FROM (
        -- Of one id the first is the one that was added.
        SELECT DISTINCT ON (one.id) one.id, one.attempts, one.lost, one.code, one.reason
        FROM unnest(ids, attempts_so_far, lost, codes, reasons) WITH ORDINALITY
            AS one (id, attempts, lost, code, reason, place)
        ORDER BY one.id, one.place
    ) AS line
    WHERE mine.id = line.id AND line.id = ANY (added)
        AND (line.attempts > 0 OR line.lost > 0 OR line.code IS NOT NULL);
END
$$;

-- Which of these scopes have an unfinished task in the topic, and whether any has. A scope that shares its hash with one that
-- has is named as well: they wait for each other.
CREATE FUNCTION aftercommit.tasks_held_keys(of_topic text, scopes text[], OUT held text[], OUT has_any boolean)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode = force_generic_plan
    -- Row by row through an index, whatever the statistics say.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
BEGIN
    SELECT coalesce(array_agg(line.scope), '{}') INTO held
    FROM unnest(scopes) AS line (scope)
    CROSS JOIN LATERAL (
        SELECT FROM aftercommit.tasks AS task
        WHERE task.order_key = aftercommit.task_order_key(of_topic, line.scope)
        -- A look for each scope, not a walk over all tasks.
        LIMIT 1
    ) AS one;
    has_any := cardinality(held) > 0 OR EXISTS (
        SELECT FROM aftercommit.tasks AS task WHERE task.topic = of_topic AND task.order_key IS NOT NULL
    );
END
$$;
