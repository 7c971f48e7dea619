-- The queue on PostgreSQL: unfinished tasks only. An ended one becomes an outcome or a dead letter.

-- Who takes tasks. A consumer that gives no sign of life until `lease_until` has lost what it had.
CREATE TABLE aftercommit.consumers (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker      text        NOT NULL,
    topic       text        NOT NULL,
    lease_until timestamptz NOT NULL
);

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
    lost_runs       integer     NOT NULL DEFAULT 0,
    lost_alone      integer     NOT NULL DEFAULT 0,
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

CREATE INDEX tasks_ready ON aftercommit.tasks (topic, due_at, seq) WHERE state = 0;
CREATE INDEX tasks_held ON aftercommit.tasks (consumer) WHERE state = 1;
CREATE INDEX tasks_order ON aftercommit.tasks (order_key, seq) WHERE order_key IS NOT NULL;

-- Publishing and settling of one order key take turns, so that neither overlooks what the other is doing. Keys share a
-- bounded number of locks; everybody takes them in one order.
CREATE FUNCTION aftercommit.tasks_take_turns(keys bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    turn integer;
BEGIN
    FOR turn IN SELECT DISTINCT (key & 4095)::integer FROM unnest(keys) AS line (key) WHERE key IS NOT NULL ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(1634036837, turn);
    END LOOP;
END
$$;

-- Of each of these keys, the oldest unfinished task may run. Under the turns of the keys.
CREATE FUNCTION aftercommit.tasks_bring_forward(keys bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
BEGIN
    UPDATE aftercommit.tasks AS front SET state = 0
    FROM unnest(keys) AS key (order_key)
    CROSS JOIN LATERAL (
        SELECT oldest.seq FROM aftercommit.tasks AS oldest
        WHERE oldest.order_key = key.order_key ORDER BY oldest.seq LIMIT 1
    ) AS oldest
    WHERE front.seq = oldest.seq AND front.state = 2;
END
$$;
