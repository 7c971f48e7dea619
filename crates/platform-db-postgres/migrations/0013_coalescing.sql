-- Coalescing: publishes of one key that are one task.

-- The scope of the key, NULL for a task of its own; and when its window was opened, until nothing takes its place any more.
ALTER TABLE aftercommit.tasks ADD COLUMN window_scope text, ADD COLUMN window_opened_at timestamptz;

-- What further publishes may take the place of: one of a key.
CREATE UNIQUE INDEX tasks_open ON aftercommit.tasks (topic, window_scope) WHERE window_opened_at IS NOT NULL;
CREATE INDEX tasks_window ON aftercommit.tasks (topic, window_scope) WHERE window_scope IS NOT NULL;

-- Which publish of a key is the one, until when. Apart from the task, which may be over long before.
CREATE TABLE aftercommit.once (
    topic        text        NOT NULL,
    window_scope text        NOT NULL,
    id           uuid        NOT NULL,
    until        timestamptz NOT NULL,
    PRIMARY KEY (topic, window_scope)
);

CREATE INDEX once_until ON aftercommit.once (until);

-- Which publishes were coalesced, and into which task: one that comes again changes nothing.
CREATE TABLE aftercommit.coalesced (
    id           uuid        NOT NULL PRIMARY KEY,
    task         uuid        NOT NULL,
    coalesced_at timestamptz NOT NULL
);

CREATE INDEX coalesced_at ON aftercommit.coalesced (coalesced_at);

-- They belong to nobody's tenant: the engine's alone.
ALTER TABLE aftercommit.once ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.once FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.once TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
ALTER TABLE aftercommit.coalesced ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.coalesced FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.coalesced TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);

-- What is known of these keys, each of them once, and which of these publishes were coalesced before. From here on until the
-- end of the transaction nobody else publishes under these keys, and nobody takes a task whose window is open. `ordered`:
-- whether tasks of the key run one after the other.
CREATE FUNCTION aftercommit.windows_known(ids uuid[], topics text[], scopes text[], ordered boolean[]) RETURNS TABLE (
    -- 0 the time, 1 an unfinished task, 2 a publish that is remembered, 3 a publish that was coalesced before
    kind smallint, place bigint, seq bigint, id uuid, at timestamptz, opened_at timestamptz, is_running boolean
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
BEGIN
    -- In one order; before the turns of order keys, and those before any row.
    FOR turn IN
        SELECT DISTINCT (hashtextextended(line.topic || E'\x1f' || line.scope, 0) & 8191)::integer
        FROM unnest(topics, scopes) AS line (topic, scope) ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(1634036838, turn);
    END LOOP;
    PERFORM aftercommit.tasks_take_turns(array_agg(aftercommit.task_order_key(line.topic, line.scope)))
    FROM unnest(topics, scopes, ordered) AS line (topic, scope, is_ordered)
    WHERE line.is_ordered HAVING count(*) > 0;
    PERFORM FROM (
        SELECT task.seq FROM unnest(topics, scopes) AS line (topic, scope)
        JOIN aftercommit.tasks AS task ON task.topic = line.topic AND task.window_scope = line.scope
        WHERE task.window_opened_at IS NOT NULL ORDER BY task.seq FOR UPDATE OF task
    ) AS locked;

    RETURN QUERY
        SELECT 0::smallint, 0::bigint, NULL::bigint, NULL::uuid, aftercommit.clock(), NULL::timestamptz, NULL::boolean;
    RETURN QUERY
        SELECT 1::smallint, line.place, task.seq, task.id, task.due_at, task.window_opened_at, task.state = 1
        FROM unnest(topics, scopes) WITH ORDINALITY AS line (topic, scope, place)
        JOIN aftercommit.tasks AS task ON task.topic = line.topic AND task.window_scope = line.scope
        ORDER BY task.seq;
    RETURN QUERY
        SELECT 2::smallint, line.place, NULL::bigint, one.id, one.until, NULL::timestamptz, NULL::boolean
        FROM unnest(topics, scopes) WITH ORDINALITY AS line (topic, scope, place)
        JOIN aftercommit.once AS one ON one.topic = line.topic AND one.window_scope = line.scope
        WHERE one.until > aftercommit.clock();
    RETURN QUERY
        SELECT 3::smallint, 0::bigint, NULL::bigint, before.id, NULL::timestamptz, NULL::timestamptz, NULL::boolean
        FROM unnest(ids) AS line (publish)
        JOIN aftercommit.coalesced AS before ON before.id = line.publish;
END
$$;

-- Writes what became of publishes, in the transaction that asked what is known of their keys; after their new tasks were added.
CREATE FUNCTION aftercommit.windows_write(
    closed bigint[],
    replaced_seqs bigint[], replaced_ids uuid[], replaced_due timestamptz[], replaced_enqueued timestamptz[],
    replaced_correlations text[], replaced_causations uuid[], replaced_bodies bytea[],
    new_ids uuid[], new_scopes text[], new_opened timestamptz[],
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
BEGIN
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
        UPDATE aftercommit.tasks AS mine SET window_scope = line.scope, window_opened_at = line.opened_at
        FROM unnest(new_ids, new_scopes, new_opened) AS line (id, scope, opened_at) WHERE mine.id = line.id;
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

-- As before, except that nothing takes the place of a task that was taken.
CREATE OR REPLACE FUNCTION aftercommit.tasks_claim(
    for_consumer bigint, of_topic text, row_limit integer, token bigint, may_take_suspect boolean, due_from timestamptz
) RETURNS TABLE (
    claimed_seq bigint, claimed_due_at timestamptz, claimed_attempts integer, claimed_lost_runs integer,
    claimed_order_key bigint, claimed_body bytea
)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    -- Whatever the statistics say of a table that was empty a moment ago.
    SET enable_seqscan = off
    SET jit = off
    SET enable_bitmapscan = off
    SET enable_sort = off
    AS $$
DECLARE
    suspect    bigint;
    has_any    boolean := false;
    durability text := current_setting('synchronous_commit');
BEGIN
    -- A claim that a crash of the server undoes was never answered to anyone who outlives the crash for long: it need not
    -- wait for the disk. One of an ordered task does, so that its key is not run twice at a time even then.
    PERFORM set_config('synchronous_commit', 'off', true);

    IF may_take_suspect THEN
        SELECT due.seq INTO suspect FROM aftercommit.tasks AS due
        WHERE due.topic = of_topic AND due.state = 0 AND due.lost_runs >= 2 AND due.due_at <= aftercommit.clock()
        ORDER BY due.due_at, due.seq LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            has_any := true;
            row_limit := row_limit - 1;
            RETURN QUERY
                UPDATE aftercommit.tasks AS mine SET state = 1, consumer = for_consumer, lease_token = token,
            window_opened_at = NULL
                WHERE mine.seq = suspect
                RETURNING mine.seq, mine.due_at, mine.attempts, mine.lost_runs,
                    CASE WHEN mine.order_key IS NOT NULL AND set_config('synchronous_commit', durability, true) <> ''
                        THEN mine.order_key END,
                    mine.body;
        END IF;
    END IF;

    RETURN QUERY
        UPDATE aftercommit.tasks AS mine SET state = 1, consumer = for_consumer, lease_token = token,
            window_opened_at = NULL
        FROM (
            SELECT due.seq FROM aftercommit.tasks AS due
            WHERE due.topic = of_topic AND due.state = 0 AND due.lost_runs < 2 AND due.due_at <= aftercommit.clock()
                AND due.due_at >= due_from
            ORDER BY due.due_at, due.seq LIMIT row_limit FOR UPDATE SKIP LOCKED
        ) AS due
        WHERE mine.seq = due.seq
        RETURNING mine.seq, mine.due_at, mine.attempts, mine.lost_runs,
            CASE WHEN mine.order_key IS NOT NULL AND set_config('synchronous_commit', durability, true) <> ''
                THEN mine.order_key END,
            mine.body;
    IF NOT FOUND AND NOT has_any THEN
        RETURN;
    END IF;

    -- Whoever frees what a lost consumer had waits for this claim, or this claim finds that it was lost.
    PERFORM FROM aftercommit.consumers WHERE id = for_consumer AND lease_until > '-infinity' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the consumer has lost its lease' USING ERRCODE = 'AC001';
    END IF;
END
$$;
