-- Everything of the kit lives in the schema `aftercommit`. Time is the database's own, ids are UUIDs, texts that come from
-- outside are bounded where they are written.

-- The time of every lease, delay and expiry. Inlined by the planner; a function, so that a test can put its own in place.
CREATE FUNCTION aftercommit.clock() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT now()';

-- Whose transaction this is: set by a unit of work with SET LOCAL, unset outside one.
CREATE FUNCTION aftercommit.current_scope() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('aftercommit.scope', true), '') $$;

CREATE FUNCTION aftercommit.current_organization() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('aftercommit.organization_id', true), '') $$;

CREATE FUNCTION aftercommit.current_project() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('aftercommit.project_id', true), '') $$;

-- Whether the transaction may touch a row of this tenant. Without a scope: nobody's. The organization decides; a project
-- sees its own rows and those of its whole organization.
CREATE FUNCTION aftercommit.may_touch(organization text, project text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
        SELECT CASE aftercommit.current_scope()
            WHEN 'system' THEN true
            WHEN 'organization' THEN organization = aftercommit.current_organization()
            WHEN 'project' THEN organization = aftercommit.current_organization()
                AND (project IS NULL OR project = aftercommit.current_project())
            ELSE false
        END
    $$;

-- Unpublished messages only; a published event moves to the event log.
CREATE TABLE aftercommit.outbox (
    position        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL,
    kind            text        NOT NULL,
    -- 0 ready, 1 claimed, 2 waits for a retry, 3 kept aside, 4 behind an earlier row of its order key
    state           smallint    NOT NULL DEFAULT 0,
    due_at          timestamptz,
    lease_token     bigint,
    lease_until     timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    written_at      timestamptz NOT NULL,
    -- A hash: two keys that share one wait for each other, which harms nobody.
    order_key       bigint,
    organization_id text,
    project_id      text,
    -- Whose turn it is: the organization, or a space for messages without one. Writers say it: a generated column would
    -- cost each of their statements more than the row does.
    bucket          text        NOT NULL DEFAULT ' ',
    name            text,
    occurred_at     timestamptz,
    failure         jsonb,
    body            bytea       NOT NULL
) WITH (
    -- A queue: every row is updated once or twice and then deleted.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX outbox_ready ON aftercommit.outbox (bucket, position) WHERE state = 0;
CREATE INDEX outbox_order ON aftercommit.outbox (order_key, position) WHERE order_key IS NOT NULL;
CREATE INDEX outbox_leases ON aftercommit.outbox (lease_until) WHERE state = 1;
CREATE INDEX outbox_due ON aftercommit.outbox (due_at) WHERE state = 2;
CREATE INDEX outbox_aside ON aftercommit.outbox (position) WHERE state = 3;
CREATE INDEX outbox_behind ON aftercommit.outbox (position) WHERE state = 4;

-- Published events, by the day they were published. Whole days are dropped.
CREATE TABLE aftercommit.event_log (
    id              uuid        NOT NULL,
    published_at    timestamptz NOT NULL,
    name            text        NOT NULL,
    organization_id text,
    project_id      text,
    occurred_at     timestamptz NOT NULL,
    -- The position in the outbox; NULL for what did not come through it.
    sequence        bigint,
    body            bytea       NOT NULL,
    PRIMARY KEY (id, published_at)
) PARTITION BY RANGE (published_at);

CREATE INDEX event_log_published ON aftercommit.event_log (published_at DESC, sequence DESC);
CREATE INDEX event_log_name ON aftercommit.event_log (name, published_at DESC, sequence DESC);

-- What has no day of its own yet: only when nobody made the days ahead for a week.
CREATE TABLE aftercommit.event_log_rest PARTITION OF aftercommit.event_log DEFAULT;

-- Tasks that were given up, whatever queue they came from.
CREATE TABLE aftercommit.dead_letters (
    entry           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL UNIQUE,
    topic           text        NOT NULL,
    task            text        NOT NULL,
    organization_id text,
    project_id      text,
    -- Of an ordered task: what it waits for when it is replayed.
    order_key       bigint,
    attempts        integer     NOT NULL,
    code            text        NOT NULL,
    fingerprint     text        NOT NULL,
    failure         jsonb       NOT NULL,
    enqueued_at     timestamptz NOT NULL,
    died_at         timestamptz NOT NULL,
    correlation_id  text,
    causation_id    uuid,
    body            bytea       NOT NULL
);

CREATE INDEX dead_letters_topic ON aftercommit.dead_letters (topic, died_at);

-- Who did what to a dead letter.
CREATE TABLE aftercommit.dead_letter_actions (
    entry           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL,
    organization_id text,
    project_id      text,
    action          text        NOT NULL,
    actor           text        NOT NULL,
    at              timestamptz NOT NULL
);

-- How tasks ended, whatever queue they came from.
CREATE TABLE aftercommit.task_outcomes (
    entry           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL,
    topic           text        NOT NULL,
    task            text        NOT NULL,
    organization_id text,
    project_id      text,
    attempts        integer     NOT NULL,
    outcome         text        NOT NULL,
    code            text,
    reason          text,
    enqueued_at     timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL,
    correlation_id  text,
    causation_id    uuid
);

CREATE INDEX task_outcomes_id ON aftercommit.task_outcomes (id);
CREATE INDEX task_outcomes_finished ON aftercommit.task_outcomes (finished_at);
