-- A task that lost three runs in a row is run with nothing beside it in its process, and says so before it runs: whatever ends
-- that process then was that task, and what only waited beside it has lost no run.

-- The lease under which it was run with nothing beside it.
ALTER TABLE aftercommit.tasks ADD COLUMN alone_token bigint;

-- Frees what consumers had that gave no sign of life in time. Answers how many tasks, of which topics, and how many consumers
-- were taken away. `beside_others`: other tasks than those of this table run in the same processes, so that the only one of a
-- process here need not have been alone.
CREATE FUNCTION aftercommit.tasks_rescue(
    most_lost integer, code text, reason text, fingerprint text, failure jsonb, beside_others boolean
) RETURNS TABLE (freed bigint, freed_topics text[], removed bigint)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    gone         bigint[];
    lost         bigint[];
    lost_tokens  bigint[];
    lost_alone   boolean[];
    not_run      bigint[];
    freed_number bigint := 0;
    names        text[] := '{}';
    more_names   text[];
    gone_number  bigint;
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
        RETURN QUERY SELECT 0::bigint, '{}'::text[], 0::bigint;
        RETURN;
    END IF;
    UPDATE aftercommit.consumers AS consumer SET lease_until = '-infinity'
    WHERE consumer.id = ANY (gone) AND consumer.lease_until > '-infinity';

    SELECT array_agg(held.seq) FILTER (WHERE held.was_run), array_agg(held.lease_token) FILTER (WHERE held.was_run),
        array_agg(held.was_alone) FILTER (WHERE held.was_run), array_agg(held.seq) FILTER (WHERE NOT held.was_run)
    INTO lost, lost_tokens, lost_alone, not_run
    FROM (
        SELECT one.id, one.seq, one.lease_token,
            one.is_marked OR NOT one.has_marked AS was_run,
            -- Whoever ran beside others may have had nothing to do with the end of the process.
            one.is_marked OR one.number = 1 AND NOT beside_others AS was_alone
        FROM (
            SELECT task.seq, task.lease_token, consumer.id,
                coalesce(task.alone_token = task.lease_token, false) AS is_marked,
                coalesce(bool_or(task.alone_token = task.lease_token) OVER of_process, false) AS has_marked,
                count(*) OVER of_process AS number
            FROM aftercommit.consumers AS gone_one
            JOIN aftercommit.consumers AS consumer ON consumer.process = gone_one.process
            JOIN aftercommit.tasks AS task ON task.consumer = consumer.id AND task.state = 1
            WHERE gone_one.id IN (
                SELECT min(one.id) FROM aftercommit.consumers AS one WHERE one.id = ANY (gone) GROUP BY one.process
            )
            WINDOW of_process AS (PARTITION BY consumer.process)
        ) AS one
    ) AS held
    WHERE held.id = ANY (gone);

    IF lost IS NOT NULL THEN
        SELECT loss.freed, loss.freed_topics INTO freed_number, names FROM aftercommit.tasks_lose(
            lost, lost_tokens, lost_alone, most_lost, code, reason, fingerprint, failure
        ) AS loss;
    END IF;
    IF not_run IS NOT NULL THEN
        WITH mine AS (
            -- What is being settled right now is left.
            SELECT task.seq FROM aftercommit.tasks AS task
            WHERE task.seq = ANY (not_run) AND task.consumer = ANY (gone) AND task.state = 1
            ORDER BY task.seq FOR UPDATE SKIP LOCKED
        ), changed AS (
            UPDATE aftercommit.tasks AS task SET state = 0, consumer = NULL, lease_token = NULL
            FROM mine WHERE task.seq = mine.seq
            RETURNING task.topic
        )
        SELECT freed_number + count(*), coalesce(array_agg(DISTINCT topic), '{}') INTO freed_number, more_names FROM changed;
        names := names || more_names;
    END IF;

    -- One that still has something, because that was just being settled, goes the next time.
    DELETE FROM aftercommit.consumers AS consumer
    WHERE consumer.id = ANY (gone)
        AND NOT EXISTS (SELECT FROM aftercommit.tasks AS task WHERE task.consumer = consumer.id AND task.state = 1);
    GET DIAGNOSTICS gone_number = ROW_COUNT;
    RETURN QUERY SELECT freed_number, names, gone_number;
END
$$;

-- For processes of the version before.
CREATE OR REPLACE FUNCTION aftercommit.tasks_rescue(
    most_lost integer, code text, reason text, fingerprint text, failure jsonb
) RETURNS TABLE (freed bigint, freed_topics text[])
    LANGUAGE sql
    AS $$
        SELECT rescued.freed, rescued.freed_topics
        FROM aftercommit.tasks_rescue(most_lost, code, reason, fingerprint, failure, false) AS rescued
    $$;

-- As before, except that a run which ends with a result is no lost one: only losses in a row count.
CREATE OR REPLACE FUNCTION aftercommit.tasks_settle(
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
                attempts = mine.attempts + line.counted, failure_code = line.code, failure = line.reason,
                lost_runs = 0, lost_alone = 0
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
