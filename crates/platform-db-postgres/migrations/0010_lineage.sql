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

CREATE INDEX event_log_correlation ON aftercommit.event_log (aftercommit.correlation_of(body));
CREATE INDEX task_outcomes_correlation ON aftercommit.task_outcomes (correlation_id);
CREATE INDEX dead_letters_correlation ON aftercommit.dead_letters (correlation_id);

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
            WHERE aftercommit.correlation_of(log.body) = encode(convert_to(wanted, 'UTF8'), 'escape') LIMIT most)
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
