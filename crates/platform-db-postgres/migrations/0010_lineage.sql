-- What belongs together is found by its correlation id. Only what stays is indexed: rows of the outbox and unfinished tasks
-- come and go, and a second index would cost each of them more than looking through the newest now and then.

-- What the event in these bytes says it belongs to, as it is written there: escaped as JSON escapes it, and then as `encode`
-- does. Every writer puts it before the payload, among attributes that are shorter than this.
CREATE FUNCTION aftercommit.correlation_of(body bytea) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT pg_catalog.substring(
            pg_catalog.encode(pg_catalog.substring(body, 1, 8192), 'escape'),
            '"correlationid"\s*:\s*"((?:[^"\\]|\\\\(?:\\\\|[^\\])|\\[0-7]{3})*)"'
        )
    $$;

-- A column and no index over the expression: row-level security keeps functions from reading rows before its own conditions.
-- Events of before have none, and are found by their ids.
ALTER TABLE aftercommit.event_log ADD COLUMN correlation_id text;

CREATE INDEX event_log_correlation ON aftercommit.event_log (correlation_id);
CREATE INDEX task_outcomes_correlation ON aftercommit.task_outcomes (correlation_id);
CREATE INDEX dead_letters_correlation ON aftercommit.dead_letters (correlation_id);

-- As before, and keeps what each event belongs to.
CREATE OR REPLACE FUNCTION aftercommit.outbox_mark_published(positions bigint[], tokens bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET jit = off
    AS $$
DECLARE
    changed bigint;
    keys    bigint[];
BEGIN
    WITH gone AS (
        -- One look-up by position for each row: with a join the planner may come by the leases instead, past all that
        -- was published since the last vacuum.
        DELETE FROM aftercommit.outbox
        WHERE position = ANY (ARRAY(
            SELECT held.position
            FROM unnest(positions, tokens) AS claim (position, token)
            CROSS JOIN LATERAL (
                SELECT mine.position FROM aftercommit.outbox AS mine
                WHERE mine.position = claim.position AND mine.lease_token = claim.token LIMIT 1 FOR UPDATE
            ) AS held
        ))
        RETURNING id, kind, position, order_key, organization_id, project_id, name, occurred_at, body
    ), logged AS (
        INSERT INTO aftercommit.event_log
            (id, published_at, name, organization_id, project_id, occurred_at, sequence, correlation_id, body)
        SELECT gone.id, aftercommit.clock(), gone.name, gone.organization_id, gone.project_id, gone.occurred_at,
            gone.position, aftercommit.correlation_of(gone.body), gone.body
        FROM gone
        -- The dispatcher may have recorded it a moment ago, when an earlier mark was lost.
        WHERE gone.kind = 'event' AND NOT EXISTS (
            SELECT FROM aftercommit.event_log AS known
            WHERE known.id = gone.id AND known.published_at > aftercommit.clock() - interval '1 day'
                AND known.published_at <= aftercommit.clock()
        )
    )
    SELECT count(*), array_agg(DISTINCT gone.order_key) FILTER (WHERE gone.order_key IS NOT NULL)
    INTO changed, keys FROM gone;
    IF keys IS NOT NULL THEN
        PERFORM aftercommit.outbox_bring_forward(keys);
    END IF;
    RETURN changed;
END
$$;

-- Published events of a correlation, given as JSON escapes it, and those of these ids. At most `most` of the correlation.
CREATE FUNCTION aftercommit.event_log_of(wanted text, ids uuid[], most bigint)
    RETURNS TABLE (event_id uuid, published timestamptz, place bigint, content bytea)
    LANGUAGE sql STABLE
    -- Through the indexes, whatever the statistics say of so few rows of so many.
    SET enable_seqscan = off
    SET jit = off
    AS $$
        SELECT DISTINCT ON (found.id) found.id, found.published_at, found.sequence, found.body FROM (
            SELECT log.id, log.published_at, log.sequence, log.body FROM aftercommit.event_log AS log
            WHERE log.id = ANY (ids)
            UNION ALL
            (SELECT log.id, log.published_at, log.sequence, log.body FROM aftercommit.event_log AS log
            WHERE log.correlation_id = encode(convert_to(wanted, 'UTF8'), 'escape') LIMIT most)
        ) AS found
    $$;

-- How tasks of a correlation and those of these ids ended, each the last time, and how often. At most `most` ends of the
-- correlation.
CREATE FUNCTION aftercommit.task_outcomes_of(wanted text, ids uuid[], most bigint)
    RETURNS TABLE (entry bigint, ends bigint)
    LANGUAGE sql STABLE
    SET enable_seqscan = off
    SET jit = off
    AS $$
        SELECT max(found.entry), count(DISTINCT found.entry) FROM (
            SELECT known.id, known.entry FROM aftercommit.task_outcomes AS known WHERE known.id = ANY (ids)
            UNION ALL
            (SELECT known.id, known.entry FROM aftercommit.task_outcomes AS known
            WHERE known.correlation_id = wanted LIMIT most)
        ) AS found GROUP BY found.id
    $$;
