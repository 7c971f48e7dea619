-- The outbox, as its relays use it. Functions, so that a claim is one round trip however many statements it is, and each
-- statement of it sees what was committed before it.

-- Takes up to `row_limit` ready rows: in turns over the organizations, within one by position, of an order key only
-- from its oldest unpublished row on. `known_buckets` and `known_ends` say up to where rows were taken a moment ago and
-- spare the walk over those; with none, all that is ready is seen from `settled_below` on (see `outbox_settled`), below
-- which nothing holds up what is behind it.
CREATE FUNCTION aftercommit.outbox_claim(
    row_limit integer, lease interval, token bigint, after_bucket text,
    known_buckets text[], known_ends bigint[], settled_below bigint
) RETURNS TABLE (
    claimed_position bigint, claimed_attempts integer, claimed_written_at timestamptz, claimed_bucket text,
    claimed_kind text, claimed_body bytea
)
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    SET enable_bitmapscan = off
    AS $$
DECLARE
    most_buckets  constant integer := 64;
    buckets       text[] := known_buckets;
    ends          bigint[] := known_ends;
    last_bucket   text := after_bucket;
    next_bucket   text;
    has_wrapped   boolean := after_bucket = '';
    share         integer;
    candidates    bigint[];
    candidate_keys bigint[];
    due_keys      bigint[];
    blocked       bigint[];
    held_keys     bigint[];
BEGIN
    -- A claim that a crash forgets was never made; nothing waits for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);

    WITH due AS (
        UPDATE aftercommit.outbox SET state = 0, due_at = NULL
        WHERE position = ANY (ARRAY(
            SELECT waiting.position FROM aftercommit.outbox AS waiting
            WHERE waiting.state = 2 AND waiting.due_at <= aftercommit.clock()
            ORDER BY waiting.due_at LIMIT row_limit FOR UPDATE SKIP LOCKED
        ))
        RETURNING order_key
    )
    SELECT array_agg(DISTINCT due.order_key) FILTER (WHERE due.order_key IS NOT NULL) INTO due_keys FROM due;
    IF due_keys IS NOT NULL THEN
        PERFORM aftercommit.outbox_bring_forward(due_keys);
    END IF;

    -- To find the next bucket means walking over all that was published of the one before it, for as long as a long
    -- transaction keeps that from being vacuumed.
    WHILE cardinality(known_buckets) = 0 AND cardinality(buckets) < least(most_buckets, row_limit) LOOP
        SELECT ready.bucket INTO next_bucket FROM aftercommit.outbox AS ready
        WHERE ready.state = 0 AND ready.bucket > last_bucket AND ready.position >= settled_below
        ORDER BY ready.bucket, ready.position LIMIT 1;
        IF next_bucket IS NULL OR next_bucket = ANY (buckets) THEN
            EXIT WHEN has_wrapped OR next_bucket IS NOT NULL;
            has_wrapped := true;
            last_bucket := '';
        ELSE
            buckets := buckets || next_bucket;
            ends := ends || 0::bigint;
            last_bucket := next_bucket;
        END IF;
    END LOOP;
    IF cardinality(buckets) = 0 THEN
        RETURN;
    END IF;
    share := ceil(row_limit::numeric / cardinality(buckets));

    SELECT array_agg(taken.position), array_agg(taken.order_key)
    INTO candidates, candidate_keys
    FROM unnest(buckets, ends) AS turn (bucket, known_end)
    CROSS JOIN LATERAL (
        SELECT ready.position, ready.order_key FROM aftercommit.outbox AS ready
        WHERE ready.state = 0 AND ready.bucket = turn.bucket
            AND ready.position > greatest(turn.known_end, settled_below - 1)
        ORDER BY ready.position LIMIT share FOR UPDATE SKIP LOCKED
    ) AS taken;
    IF candidates IS NULL THEN
        RETURN;
    END IF;

    IF array_remove(candidate_keys, NULL) <> '{}' THEN
        -- Whatever comes after a row of its key that is not among the candidates waits for it.
        SELECT array_agg(mine.position) INTO blocked
        FROM (
            SELECT last.order_key, (
                SELECT earlier.position FROM aftercommit.outbox AS earlier
                WHERE earlier.order_key = last.order_key AND earlier.position < last.position
                    AND earlier.position >= settled_below AND earlier.state <> 3 AND NOT earlier.position = ANY (candidates)
                ORDER BY earlier.position LIMIT 1
            ) AS position
            FROM (
                SELECT candidate.order_key, max(candidate.position) AS position
                FROM unnest(candidates, candidate_keys) AS candidate (position, order_key)
                WHERE candidate.order_key IS NOT NULL GROUP BY candidate.order_key
            ) AS last
        ) AS first_other
        JOIN unnest(candidates, candidate_keys) AS mine (position, order_key)
            ON mine.order_key = first_other.order_key AND mine.position > first_other.position;

        IF blocked IS NOT NULL THEN
            -- Put behind, so that the next claim does not walk over it. Only while the row in front is held: whoever
            -- finishes that one looks for those behind it afterwards.
            SELECT array_agg(front.order_key) INTO held_keys
            FROM (
                SELECT front.order_key FROM aftercommit.outbox AS front
                WHERE front.state IN (1, 2) AND front.order_key IN (
                    SELECT waiting.order_key FROM aftercommit.outbox AS waiting WHERE waiting.position = ANY (blocked)
                )
                FOR UPDATE SKIP LOCKED
            ) AS front;
            UPDATE aftercommit.outbox AS waiting SET state = 4
            WHERE waiting.position = ANY (blocked) AND waiting.order_key = ANY (held_keys);
        END IF;
    END IF;

    RETURN QUERY
        WITH claimed AS (
            UPDATE aftercommit.outbox AS mine
            SET state = 1, lease_token = token, lease_until = aftercommit.clock() + lease
            WHERE mine.position = ANY (candidates) AND NOT mine.position = ANY (coalesce(blocked, '{}'))
            RETURNING mine.position, mine.attempts, mine.written_at, mine.bucket, mine.kind, mine.body
        )
        SELECT * FROM claimed ORDER BY claimed.position;
END
$$;

-- Below which position every row is gone for good or kept aside, so that a claim need not walk over what was published
-- since the last vacuum to find out that nothing is in front of its rows. A position is drawn long before it can be seen,
-- but by a transaction that has its number already: once all are over that ran when `drawn` was the last position, no row
-- up to it can appear. Which those are, its own number tells, drawn after `drawn` was read: every writer that had drawn a
-- position by then has a lower one. (The end of a snapshot does not: a transaction that runs may lie beyond it.) Asked with
-- what the last answer said, or with nulls.
CREATE FUNCTION aftercommit.outbox_settled(known_below bigint, drawn bigint, next_writer bigint)
    RETURNS TABLE (settled_below bigint, settled_drawn bigint, settled_next_writer bigint)
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    SET enable_bitmapscan = off
    AS $$
DECLARE
    is_over boolean := pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= next_writer;
BEGIN
    settled_below := coalesce(known_below, 0);
    settled_drawn := drawn;
    settled_next_writer := next_writer;
    IF is_over THEN
        SELECT mine.position INTO settled_below FROM aftercommit.outbox AS mine
        WHERE mine.position >= known_below AND mine.position <= drawn AND mine.state <> 3
        ORDER BY mine.position LIMIT 1;
        settled_below := coalesce(settled_below, drawn + 1);
    END IF;
    IF coalesce(is_over, true) THEN
        SELECT last_value - (NOT is_called)::integer INTO settled_drawn FROM aftercommit.outbox_position_seq;
        settled_next_writer := pg_current_xact_id()::text::bigint;
    END IF;
    -- Another server took over, or this one has restarted, that had not heard of all positions and numbers.
    IF settled_drawn < settled_below - 1 OR pg_snapshot_xmax(pg_current_snapshot())::text::bigint < next_writer THEN
        settled_below := 0;
    END IF;
    RETURN NEXT;
END
$$;

-- Lets the rows behind these order keys be claimed again; a bounded number, the rest when those are through.
CREATE FUNCTION aftercommit.outbox_bring_forward(keys bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    AS $$
BEGIN
    UPDATE aftercommit.outbox SET state = 0
    WHERE position = ANY (ARRAY(
        SELECT behind.position
        FROM unnest(keys) AS key (order_key)
        CROSS JOIN LATERAL (
            SELECT row_behind.position FROM aftercommit.outbox AS row_behind
            WHERE row_behind.order_key = key.order_key AND row_behind.state = 4
            ORDER BY row_behind.position LIMIT 500 FOR UPDATE
        ) AS behind
    ));
END
$$;

-- Takes published rows out; events go to the log. Answers how many there were: a row whose token is another is left.
CREATE FUNCTION aftercommit.outbox_mark_published(positions bigint[], tokens bigint[]) RETURNS bigint
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
            (id, published_at, name, organization_id, project_id, occurred_at, sequence, body)
        SELECT gone.id, aftercommit.clock(), gone.name, gone.organization_id, gone.project_id, gone.occurred_at,
            gone.position, gone.body
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

-- Gives rows back: to what `states` says (0 ready, 2 again after the delay, 3 kept aside). Answers how many.
CREATE FUNCTION aftercommit.outbox_release(
    positions bigint[], tokens bigint[], states smallint[], delays interval[], counted boolean[], failures jsonb[]
) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    changed bigint;
    keys    bigint[];
BEGIN
    WITH released AS (
        UPDATE aftercommit.outbox AS mine
        SET state = claim.state,
            due_at = CASE WHEN claim.state = 2 THEN aftercommit.clock() + claim.delay END,
            attempts = mine.attempts + claim.counted::integer,
            failure = coalesce(claim.failure, mine.failure),
            lease_token = NULL,
            lease_until = NULL
        FROM unnest(positions, tokens, states, delays, counted, failures)
            AS claim (position, token, state, delay, counted, failure)
        WHERE mine.position = claim.position AND mine.lease_token = claim.token
        RETURNING mine.order_key, mine.state
    )
    SELECT count(*), array_agg(DISTINCT released.order_key)
        FILTER (WHERE released.order_key IS NOT NULL AND released.state = 3)
    INTO changed, keys FROM released;
    IF keys IS NOT NULL THEN
        PERFORM aftercommit.outbox_bring_forward(keys);
    END IF;
    RETURN changed;
END
$$;

-- Frees rows whose lease expired, and rows behind a key that has nothing in front any more (someone deleted it by hand).
CREATE FUNCTION aftercommit.outbox_rescue(row_limit integer) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    changed bigint;
    keys    bigint[];
BEGIN
    UPDATE aftercommit.outbox SET state = 0, lease_token = NULL, lease_until = NULL
    WHERE position = ANY (ARRAY(
        SELECT expired.position FROM aftercommit.outbox AS expired
        WHERE expired.state = 1 AND expired.lease_until <= aftercommit.clock()
        ORDER BY expired.lease_until LIMIT row_limit FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS changed = ROW_COUNT;
    SELECT array_agg(DISTINCT behind.order_key) INTO keys
    FROM (
        SELECT first_behind.order_key FROM aftercommit.outbox AS first_behind
        WHERE first_behind.state = 4 ORDER BY first_behind.position LIMIT row_limit
    ) AS behind
    WHERE NOT EXISTS (
        SELECT FROM aftercommit.outbox AS front
        WHERE front.order_key = behind.order_key AND front.state IN (0, 1, 2)
    );
    IF keys IS NOT NULL THEN
        PERFORM aftercommit.outbox_bring_forward(keys);
    END IF;
    RETURN changed;
END
$$;

-- Adds rows to the caller's transaction, in the order given. Writers of one order key take turns, so that the positions of
-- a key rise in the order their transactions commit. Keys share a bounded number of locks, as a transaction may write for
-- very many.
CREATE FUNCTION aftercommit.outbox_append(
    ids uuid[], kinds text[], order_texts text[], organizations text[], projects text[], names text[],
    occurred timestamptz[], bodies bytea[], scope text, organization text, project text
) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    turn         integer;
    has_no_scope boolean := aftercommit.current_scope() IS NULL;
BEGIN
    -- A transaction of the application's own says whose it is only here.
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', scope, true),
            set_config('aftercommit.organization_id', coalesce(organization, ''), true),
            set_config('aftercommit.project_id', coalesce(project, ''), true);
    END IF;
    -- In one order for everybody, so that two writers of several keys do not wait for each other.
    FOR turn IN
        SELECT DISTINCT (hashtextextended(order_text, 0) & 4095)::integer FROM unnest(order_texts) AS line (order_text)
        WHERE order_text IS NOT NULL ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(1634036835, turn);
    END LOOP;
    -- The transaction has its number before it draws a position: `outbox_settled` counts on it.
    PERFORM pg_current_xact_id();
    INSERT INTO aftercommit.outbox
        (id, kind, written_at, order_key, organization_id, project_id, bucket, name, occurred_at, body)
    SELECT line.id, line.kind, aftercommit.clock(), hashtextextended(line.order_text, 0), line.organization, line.project,
        coalesce(line.organization, ' '), line.name, line.occurred, line.body
    FROM unnest(ids, kinds, order_texts, organizations, projects, names, occurred, bodies) WITH ORDINALITY
        AS line (id, kind, order_text, organization, project, name, occurred, body, ordinal)
    ORDER BY line.ordinal;
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', '', true);
    END IF;
END
$$;
