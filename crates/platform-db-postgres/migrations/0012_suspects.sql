-- A task that lost two runs is run with nothing beside it in its process, and says so before it runs: whatever ends that process
-- then was that task, and what only waited beside it has lost no run.

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
                task.alone_token IS NOT DISTINCT FROM task.lease_token AS is_marked,
                bool_or(task.alone_token IS NOT DISTINCT FROM task.lease_token) OVER of_process AS has_marked,
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
