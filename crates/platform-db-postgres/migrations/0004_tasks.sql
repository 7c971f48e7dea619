-- The queue on PostgreSQL: unfinished tasks only. An ended one becomes an outcome or a dead letter.

-- Who takes tasks. A consumer that gives no sign of life until `lease_until` has lost what it had; from `-infinity` on it
-- can give none any more.
CREATE TABLE aftercommit.consumers (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- One number for all consumers of a process.
    process     bigint      NOT NULL,
    worker      text        NOT NULL,
    topic       text        NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (
    -- Renewed all the time: room for the new version beside the old one.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_threshold = 100,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX consumers_process ON aftercommit.consumers (process);

CREATE TABLE aftercommit.tasks (
    -- In the order they were published.
    seq             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL UNIQUE,
    topic           text        NOT NULL,
    task            text        NOT NULL,
    organization_id text,
    project_id      text,
    -- 0 ready (when due), 1 with a consumer, 2 behind an earlier task of its order key
    state           smallint    NOT NULL,
    due_at          timestamptz NOT NULL,
    -- A hash of topic, tenant and key: two keys that share one wait for each other, which harms nobody.
    order_key       bigint,
    attempts        integer     NOT NULL DEFAULT 0,
    -- Runs that ended without a result, and those of them that nothing else can have ended.
    lost_runs       integer     NOT NULL DEFAULT 0,
    lost_alone      integer     NOT NULL DEFAULT 0,
    -- Who has it; only in state 1.
    consumer        bigint,
    lease_token     bigint,
    enqueued_at     timestamptz NOT NULL,
    failure_code    text,
    failure         text,
    correlation_id  text,
    causation_id    uuid,
    body            bytea       NOT NULL
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX tasks_ready ON aftercommit.tasks (topic, due_at, seq) WHERE state = 0 AND lost_runs < 2;
-- A task that lost two runs is a suspect: a process runs one of them at a time, so that the next loss tells which it was.
CREATE INDEX tasks_suspect ON aftercommit.tasks (topic, due_at, seq) WHERE state = 0 AND lost_runs >= 2;
CREATE INDEX tasks_held ON aftercommit.tasks (consumer) WHERE state = 1;
CREATE INDEX tasks_behind ON aftercommit.tasks (topic) WHERE state = 2;
CREATE INDEX tasks_order ON aftercommit.tasks (order_key, seq) WHERE order_key IS NOT NULL;

-- `scope` is tenant and key, as the envelope says it.
CREATE FUNCTION aftercommit.task_order_key(topic text, scope text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT hashtextextended(topic || E'\x1f' || scope, 0) $$;

-- Publishing and settling of one order key take turns, so that neither overlooks what the other is doing. Keys share a
-- bounded number of locks; everybody takes them in one order, and before any row.
CREATE FUNCTION aftercommit.tasks_take_turns(keys bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    turn integer;
BEGIN
    FOR turn IN SELECT DISTINCT (key & 1023)::integer FROM unnest(keys) AS line (key) WHERE key IS NOT NULL ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(1634036837, turn);
    END LOOP;
END
$$;

-- Of each of these keys, the oldest unfinished task from `from_seq` on may run, after those that may already: none before it
-- is unfinished. Under the turns of the keys.
CREATE FUNCTION aftercommit.tasks_bring_forward(keys bigint[], from_seq bigint DEFAULT 0) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
    AS $$
BEGIN
    UPDATE aftercommit.tasks AS front SET state = 0, due_at = greatest(front.due_at, aftercommit.clock())
    FROM unnest(keys) AS line (order_key)
    CROSS JOIN LATERAL (
        SELECT unfinished.seq FROM aftercommit.tasks AS unfinished
        WHERE unfinished.order_key = line.order_key AND unfinished.seq >= from_seq ORDER BY unfinished.seq LIMIT 1
    ) AS oldest
    WHERE front.seq = oldest.seq AND front.state = 2;
END
$$;

-- Adds tasks, all or none, in this order. Answers the ids that were not there already. `scopes` is empty when none of them
-- is ordered.
CREATE FUNCTION aftercommit.tasks_insert(
    ids uuid[], topics text[], names text[], organizations text[], projects text[], not_before timestamptz[],
    scopes text[], enqueued timestamptz[], correlations text[], causations uuid[], bodies bytea[]
) RETURNS uuid[]
    LANGUAGE plpgsql
    -- Planning anew for every call would cost more than the call.
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    keys  bigint[];
    added uuid[];
BEGIN
    IF cardinality(scopes) = 0 THEN
        WITH new_tasks AS (
            INSERT INTO aftercommit.tasks (
                id, topic, task, organization_id, project_id, state, due_at, enqueued_at, correlation_id, causation_id, body
            )
            SELECT line.id, line.topic, line.task, line.organization_id, line.project_id, 0,
                greatest(line.not_before, aftercommit.clock()), line.enqueued_at, line.correlation_id, line.causation_id,
                line.body
            FROM unnest(
                ids, topics, names, organizations, projects, not_before, enqueued, correlations, causations, bodies
            ) WITH ORDINALITY AS line (
                id, topic, task, organization_id, project_id, not_before, enqueued_at, correlation_id, causation_id, body,
                place
            )
            ORDER BY line.place
            ON CONFLICT (id) DO NOTHING
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM new_tasks;
        RETURN coalesce(added, '{}');
    END IF;

    SELECT array_agg(aftercommit.task_order_key(line.topic, line.scope) ORDER BY line.place) INTO keys
    FROM unnest(topics, scopes) WITH ORDINALITY AS line (topic, scope, place);
    PERFORM aftercommit.tasks_take_turns(keys);
    WITH new_tasks AS (
        INSERT INTO aftercommit.tasks (
            id, topic, task, organization_id, project_id, state, due_at, order_key, enqueued_at, correlation_id,
            causation_id, body
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
            greatest(line.not_before, aftercommit.clock()), line.order_key, line.enqueued_at, line.correlation_id,
            line.causation_id, line.body
        FROM unnest(
            ids, topics, names, organizations, projects, not_before, keys, enqueued, correlations, causations, bodies
        ) WITH ORDINALITY AS line (
            id, topic, task, organization_id, project_id, not_before, order_key, enqueued_at, correlation_id,
            causation_id, body, place
        )
        ORDER BY line.place
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO added FROM new_tasks;
    added := coalesce(added, '{}');
    IF cardinality(added) < cardinality(ids) THEN
        -- The first of a key that was there already may be of another key, and then nothing is before its followers.
        PERFORM aftercommit.tasks_bring_forward(array_remove(keys, NULL));
    END IF;
    RETURN added;
END
$$;

-- The shorter way of a relay whose outbox is in this database: takes rows out and puts their tasks on their topics, all or
-- nothing. Answers how many rows there were.
CREATE FUNCTION aftercommit.outbox_transfer(
    positions bigint[], tokens bigint[],
    ids uuid[], topics text[], names text[], organizations text[], projects text[], not_before timestamptz[],
    scopes text[], enqueued timestamptz[], correlations text[], causations uuid[], bodies bytea[]
) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    changed bigint := aftercommit.outbox_mark_published(positions, tokens);
BEGIN
    IF changed < cardinality(positions) THEN
        RAISE EXCEPTION 'another relay holds some of these rows' USING ERRCODE = 'AC002';
    END IF;
    PERFORM aftercommit.tasks_insert(
        ids, topics, names, organizations, projects, not_before, scopes, enqueued, correlations, causations, bodies
    );
    RETURN changed;
END
$$;

-- Takes up to `row_limit` tasks that are due, at most one of them a suspect, and that only when `may_take_suspect`.
-- `due_from` spares the walk over all that was due before it.
CREATE FUNCTION aftercommit.tasks_claim(
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
                UPDATE aftercommit.tasks AS mine SET state = 1, consumer = for_consumer, lease_token = token
                WHERE mine.seq = suspect
                RETURNING mine.seq, mine.due_at, mine.attempts, mine.lost_runs,
                    CASE WHEN mine.order_key IS NOT NULL AND set_config('synchronous_commit', durability, true) <> ''
                        THEN mine.order_key END,
                    mine.body;
        END IF;
    END IF;

    RETURN QUERY
        UPDATE aftercommit.tasks AS mine SET state = 1, consumer = for_consumer, lease_token = token
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

-- Ends tasks with more to say than that they completed, and keeps those that were given up. Answers those whose lease held.
-- Under the turns of their keys.
CREATE FUNCTION aftercommit.tasks_end(
    seqs bigint[], tokens bigint[], outcomes text[], codes text[], reasons text[], fingerprints text[], failures jsonb[]
) RETURNS bigint[]
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    -- Row by row through the primary key: whatever the statistics say, the index of held rows is mostly dead entries.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    done bigint[];
BEGIN
    WITH ended AS (
        DELETE FROM aftercommit.tasks AS mine
        USING unnest(seqs, tokens, outcomes, codes, reasons, fingerprints, failures)
            AS line (seq, token, outcome, code, reason, fingerprint, failure)
        WHERE mine.seq = line.seq AND mine.lease_token = line.token AND mine.consumer IS NOT NULL
        RETURNING mine.*, line.outcome, line.code, line.reason, line.fingerprint, line.failure AS last_failure
    ), recorded AS (
        INSERT INTO aftercommit.task_outcomes (
            id, topic, task, organization_id, project_id, attempts, outcome, code, reason, enqueued_at, finished_at,
            correlation_id, causation_id
        )
        SELECT id, topic, task, organization_id, project_id, attempts + 1, outcome, code, reason, enqueued_at,
            aftercommit.clock(), correlation_id, causation_id
        FROM ended ORDER BY seq
    ), kept AS (
        INSERT INTO aftercommit.dead_letters AS letter (
            id, topic, task, organization_id, project_id, order_key, attempts, code, fingerprint, failure, enqueued_at,
            died_at, correlation_id, causation_id, body
        )
        SELECT id, topic, task, organization_id, project_id, order_key, attempts + 1, coalesce(code, ''), coalesce(fingerprint, ''),
            coalesce(last_failure, '{}'), enqueued_at, aftercommit.clock(), correlation_id, causation_id, body
        FROM ended WHERE outcome = 'dead' ORDER BY seq
        ON CONFLICT (id) DO UPDATE SET
            -- It died again, so it is the newest.
            entry = DEFAULT, topic = excluded.topic, task = excluded.task, organization_id = excluded.organization_id,
            project_id = excluded.project_id, order_key = excluded.order_key, attempts = excluded.attempts,
            code = excluded.code, fingerprint = excluded.fingerprint, failure = excluded.failure, enqueued_at = excluded.enqueued_at,
            died_at = excluded.died_at, correlation_id = excluded.correlation_id, causation_id = excluded.causation_id,
            body = excluded.body
    )
    SELECT array_agg(seq) INTO done FROM ended;
    RETURN coalesce(done, '{}');
END
$$;

-- Writes how deliveries ended. Answers those whose lease held. `turns` are the order keys of those that are over.
CREATE FUNCTION aftercommit.tasks_settle(
    turns bigint[],
    completed_seqs bigint[], completed_tokens bigint[], completed_recorded boolean[],
    ended_seqs bigint[], ended_tokens bigint[], ended_outcomes text[], ended_codes text[], ended_reasons text[],
    ended_fingerprints text[], ended_failures jsonb[],
    again_seqs bigint[], again_tokens bigint[], again_micros bigint[], again_counted integer[], again_codes text[],
    again_reasons text[],
    freed_seqs bigint[], freed_tokens bigint[]
) RETURNS bigint[]
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    -- Row by row through the primary key: whatever the statistics say, the index of held rows is mostly dead entries.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    settled bigint[] := '{}';
    done    bigint[];
BEGIN
    IF cardinality(turns) > 0 THEN
        PERFORM aftercommit.tasks_take_turns(turns);
    END IF;
    IF cardinality(completed_seqs) > 0 THEN
        WITH ended AS (
            DELETE FROM aftercommit.tasks AS mine
            USING unnest(completed_seqs, completed_tokens, completed_recorded) AS line (seq, token, is_recorded)
            WHERE mine.seq = line.seq AND mine.lease_token = line.token AND mine.consumer IS NOT NULL
            RETURNING mine.seq, mine.id, mine.topic, mine.task, mine.organization_id, mine.project_id, mine.attempts,
                mine.enqueued_at, mine.correlation_id, mine.causation_id, line.is_recorded
        ), recorded AS (
            INSERT INTO aftercommit.task_outcomes (
                id, topic, task, organization_id, project_id, attempts, outcome, enqueued_at, finished_at, correlation_id,
                causation_id
            )
            SELECT id, topic, task, organization_id, project_id, attempts + 1, 'completed', enqueued_at,
                aftercommit.clock(), correlation_id, causation_id
            FROM ended WHERE is_recorded
        )
        SELECT array_agg(seq) INTO done FROM ended;
        settled := settled || coalesce(done, '{}');
    END IF;
    IF cardinality(ended_seqs) > 0 THEN
        settled := settled || aftercommit.tasks_end(
            ended_seqs, ended_tokens, ended_outcomes, ended_codes, ended_reasons, ended_fingerprints, ended_failures
        );
    END IF;
    IF cardinality(again_seqs) > 0 THEN
        -- The token stays, so that whoever lost the answer can see that it was done.
        WITH waiting AS (
            UPDATE aftercommit.tasks AS mine SET
                state = 0, consumer = NULL, due_at = aftercommit.clock() + line.micros * interval '1 microsecond',
                attempts = mine.attempts + line.counted, failure_code = line.code, failure = line.reason
            FROM unnest(again_seqs, again_tokens, again_micros, again_counted, again_codes, again_reasons)
                AS line (seq, token, micros, counted, code, reason)
            WHERE mine.seq = line.seq AND mine.lease_token = line.token AND mine.consumer IS NOT NULL
            RETURNING mine.seq
        )
        SELECT array_agg(seq) INTO done FROM waiting;
        settled := settled || coalesce(done, '{}');
    END IF;
    IF cardinality(freed_seqs) > 0 THEN
        WITH freed AS (
            UPDATE aftercommit.tasks AS mine SET state = 0, consumer = NULL
            FROM unnest(freed_seqs, freed_tokens) AS line (seq, token)
            WHERE mine.seq = line.seq AND mine.lease_token = line.token AND mine.consumer IS NOT NULL
            RETURNING mine.seq
        )
        SELECT array_agg(seq) INTO done FROM freed;
        settled := settled || coalesce(done, '{}');
    END IF;
    IF cardinality(turns) > 0 THEN
        -- What ended was the oldest of its key.
        PERFORM aftercommit.tasks_bring_forward(
            turns, coalesce((SELECT min(over.seq) FROM unnest(completed_seqs || ended_seqs) AS over (seq)), 0)
        );
    END IF;
    RETURN settled;
END
$$;

-- What became of deliveries whose settling was not answered: 'held' still, 'settled', or 'stale'.
CREATE FUNCTION aftercommit.tasks_seen(seqs bigint[], tokens bigint[]) RETURNS TABLE (seen_seq bigint, seen text)
    LANGUAGE sql STABLE
    AS $$
        SELECT line.seq,
            CASE
                -- Only who held it can have ended it, or who had it after that; over is over.
                WHEN mine.seq IS NULL THEN 'settled'
                WHEN mine.lease_token IS DISTINCT FROM line.token THEN 'stale'
                WHEN mine.state = 1 THEN 'held'
                ELSE 'settled'
            END
        FROM unnest(seqs, tokens) AS line (seq, token)
        LEFT JOIN aftercommit.tasks AS mine ON mine.seq = line.seq
    $$;

-- Frees tasks whose runs were lost, and gives up those that lost too many alone. Answers how many, and of which topics.
CREATE FUNCTION aftercommit.tasks_lose(
    seqs bigint[], tokens bigint[], alone boolean[],
    most_lost integer, code text, reason text, fingerprint text, failure jsonb
) RETURNS TABLE (freed bigint, freed_topics text[])
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    -- Row by row through the primary key: whatever the statistics say, the index of held rows is mostly dead entries.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    hopeless        bigint[];
    hopeless_tokens bigint[];
    keys            bigint[];
    given_up        bigint := 0;
BEGIN
    SELECT array_agg(mine.seq ORDER BY mine.seq), array_agg(mine.lease_token ORDER BY mine.seq),
        array_agg(mine.order_key) FILTER (WHERE mine.order_key IS NOT NULL)
    INTO hopeless, hopeless_tokens, keys
    FROM unnest(seqs, tokens, alone) AS line (seq, token, is_alone)
    JOIN aftercommit.tasks AS mine ON mine.seq = line.seq AND mine.lease_token = line.token AND mine.consumer IS NOT NULL
    WHERE line.is_alone AND mine.lost_alone + 1 >= most_lost;

    IF hopeless IS NOT NULL THEN
        IF keys IS NOT NULL THEN
            PERFORM aftercommit.tasks_take_turns(keys);
        END IF;
        given_up := cardinality(aftercommit.tasks_end(
            hopeless, hopeless_tokens,
            array_fill('dead'::text, ARRAY[cardinality(hopeless)]), array_fill(code, ARRAY[cardinality(hopeless)]),
            array_fill(reason, ARRAY[cardinality(hopeless)]), array_fill(fingerprint, ARRAY[cardinality(hopeless)]),
            array_fill(failure, ARRAY[cardinality(hopeless)])
        ));
        IF keys IS NOT NULL THEN
            PERFORM aftercommit.tasks_bring_forward(keys);
        END IF;
    END IF;

    RETURN QUERY
        WITH mine AS (
            -- What is being settled right now is not lost.
            SELECT held.seq, line.is_alone
            FROM unnest(seqs, tokens, alone) AS line (seq, token, is_alone)
            JOIN aftercommit.tasks AS held ON held.seq = line.seq AND held.lease_token = line.token AND held.consumer IS NOT NULL
            ORDER BY held.seq FOR UPDATE OF held SKIP LOCKED
        ), changed AS (
            UPDATE aftercommit.tasks AS task SET
                state = 0, consumer = NULL, lease_token = NULL, lost_runs = task.lost_runs + 1,
                lost_alone = task.lost_alone + mine.is_alone::integer
            FROM mine WHERE task.seq = mine.seq
            RETURNING task.topic
        )
        SELECT count(*) + given_up, coalesce(array_agg(DISTINCT topic), '{}') FROM changed;
END
$$;

-- Frees what consumers had that gave no sign of life in time. Answers how many tasks, and of which topics.
CREATE FUNCTION aftercommit.tasks_rescue(
    most_lost integer, code text, reason text, fingerprint text, failure jsonb
) RETURNS TABLE (freed bigint, freed_topics text[])
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    gone        bigint[];
    lost        bigint[];
    lost_tokens bigint[];
    lost_alone  boolean[];
BEGIN
    SELECT array_agg(expired.id) INTO gone
    FROM (
        SELECT consumer.id FROM aftercommit.consumers AS consumer
        WHERE consumer.process IN (
            -- All of a process at once: what it had decides who was alone.
            SELECT DISTINCT first.process FROM aftercommit.consumers AS first
            WHERE first.lease_until <= aftercommit.clock() LIMIT 4
        ) AND consumer.lease_until <= aftercommit.clock()
        ORDER BY consumer.id FOR UPDATE SKIP LOCKED
    ) AS expired;
    IF gone IS NULL THEN
        RETURN QUERY SELECT 0::bigint, '{}'::text[];
        RETURN;
    END IF;
    UPDATE aftercommit.consumers AS consumer SET lease_until = '-infinity'
    WHERE consumer.id = ANY (gone) AND consumer.lease_until > '-infinity';

    SELECT array_agg(held.seq), array_agg(held.lease_token), array_agg(held.was_alone)
    INTO lost, lost_tokens, lost_alone
    FROM (
        SELECT task.seq, task.lease_token, consumer.id,
            -- Whoever ran beside others may have had nothing to do with the end of the process.
            count(*) OVER of_process = 1 AS was_alone
        FROM aftercommit.consumers AS gone_one
        JOIN aftercommit.consumers AS consumer ON consumer.process = gone_one.process
        JOIN aftercommit.tasks AS task ON task.consumer = consumer.id AND task.state = 1
        WHERE gone_one.id IN (
            SELECT min(one.id) FROM aftercommit.consumers AS one WHERE one.id = ANY (gone) GROUP BY one.process
        )
        WINDOW of_process AS (PARTITION BY consumer.process)
    ) AS held
    WHERE held.id = ANY (gone);

    IF lost IS NULL THEN
        RETURN QUERY SELECT 0::bigint, '{}'::text[];
    ELSE
        RETURN QUERY SELECT * FROM aftercommit.tasks_lose(
            lost, lost_tokens, lost_alone, most_lost, code, reason, fingerprint, failure
        );
    END IF;

    -- One that still has something, because that was just being settled, goes the next time.
    DELETE FROM aftercommit.consumers AS consumer
    WHERE consumer.id = ANY (gone)
        AND NOT EXISTS (SELECT FROM aftercommit.tasks AS task WHERE task.consumer = consumer.id AND task.state = 1);
END
$$;

-- Of each of these topics that has a waiting task: how long until the first is due, in microseconds; none left is 0 or less.
CREATE FUNCTION aftercommit.tasks_due(topics text[]) RETURNS TABLE (due_topic text, due_in bigint)
    LANGUAGE sql STABLE
    SET enable_seqscan = off
    SET jit = off
    AS $$
        SELECT line.topic, (extract(epoch FROM first.due_at - aftercommit.clock()) * 1000000)::bigint
        FROM unnest(topics) AS line (topic)
        CROSS JOIN LATERAL (
            SELECT min(one.due_at) AS due_at
            FROM (
                (SELECT ready.due_at FROM aftercommit.tasks AS ready
                WHERE ready.topic = line.topic AND ready.state = 0 AND ready.lost_runs < 2
                ORDER BY ready.due_at LIMIT 1)
                UNION ALL
                (SELECT suspect.due_at FROM aftercommit.tasks AS suspect
                WHERE suspect.topic = line.topic AND suspect.state = 0 AND suspect.lost_runs >= 2
                ORDER BY suspect.due_at LIMIT 1)
            ) AS one
        ) AS first
        WHERE first.due_at IS NOT NULL
    $$;
