-- Since the fixes of November 2026 (15.20 and its siblings), a table with row level security uses no index for a value that a
-- function which is not leakproof makes within the statement; each key was a walk over all tasks that keep an order. So the
-- keys are made first.

CREATE OR REPLACE FUNCTION aftercommit.tasks_held_keys(
    of_topic text, scopes text[], OUT held text[], OUT has_any boolean
)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode = force_generic_plan
    -- Row by row through an index, whatever the statistics say.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    keys bigint[] := ARRAY(
        SELECT aftercommit.task_order_key(of_topic, line.scope)
        FROM unnest(scopes) WITH ORDINALITY AS line (scope, nth) ORDER BY line.nth
    );
BEGIN
    SELECT coalesce(array_agg(line.scope), '{}') INTO held
    FROM unnest(scopes, keys) AS line (scope, order_key)
    CROSS JOIN LATERAL (
        SELECT FROM aftercommit.tasks AS task
        WHERE task.order_key = line.order_key
        -- A look for each scope, not a walk over all tasks.
        LIMIT 1
    ) AS one;
    has_any := cardinality(held) > 0 OR EXISTS (
        SELECT FROM aftercommit.tasks AS task WHERE task.topic = of_topic AND task.order_key IS NOT NULL
    );
END
$$;
