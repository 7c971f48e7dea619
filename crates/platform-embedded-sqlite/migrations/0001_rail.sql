-- Times are microseconds since 1970 in UTC, ids the 16 bytes of a UUID. Leases are not here: this process is the only
-- one that opens the file, so who has what is in its memory, and everything in a row outlives it.

-- Unpublished messages only; a published event moves to the event log.
CREATE TABLE aftercommit_outbox (
    -- Never used twice: it becomes the sequence of an event.
    position        INTEGER PRIMARY KEY AUTOINCREMENT,
    id              BLOB    NOT NULL,
    kind            TEXT    NOT NULL,
    -- 0 ready, 1 waits for a retry, 2 kept aside
    state           INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    written_at      INTEGER NOT NULL,
    ordering        TEXT,
    organization_id TEXT,
    -- Of an event only: what the event log is searched by.
    name            TEXT,
    occurred_at     INTEGER,
    failure         TEXT,
    body            BLOB    NOT NULL
) STRICT;

-- Counts by state without reading bodies.
CREATE INDEX aftercommit_outbox_state ON aftercommit_outbox (state);
-- What holds back the rows after it.
CREATE INDEX aftercommit_outbox_waiting ON aftercommit_outbox (ordering, position) WHERE state = 1;
CREATE INDEX aftercommit_outbox_due ON aftercommit_outbox (due_at) WHERE state = 1;

CREATE TABLE aftercommit_event_log (
    entry           INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    organization_id TEXT,
    occurred_at     INTEGER NOT NULL,
    published_at    INTEGER NOT NULL,
    -- The position in the outbox; NULL for what did not come through it.
    sequence        INTEGER,
    body            BLOB    NOT NULL
) STRICT;

-- Of one name, in the order they were published.
CREATE INDEX aftercommit_event_log_name ON aftercommit_event_log (name, entry);

-- Unfinished tasks only.
CREATE TABLE aftercommit_tasks (
    -- In the order they were published.
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    topic           TEXT    NOT NULL,
    task            TEXT    NOT NULL,
    organization_id TEXT,
    project_id      TEXT,
    -- 0 ready (when due), 2 behind an earlier task of its order key
    state           INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    order_scope     TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    lost_runs       INTEGER NOT NULL DEFAULT 0,
    lost_alone      INTEGER NOT NULL DEFAULT 0,
    enqueued_at     INTEGER NOT NULL,
    failure_code    TEXT,
    failure         TEXT,
    correlation_id  TEXT,
    causation_id    BLOB,
    body            BLOB    NOT NULL
) STRICT;

CREATE INDEX aftercommit_tasks_ready ON aftercommit_tasks (topic, due_at, seq) WHERE state = 0;
CREATE INDEX aftercommit_tasks_behind ON aftercommit_tasks (topic) WHERE state = 2;
CREATE INDEX aftercommit_tasks_order ON aftercommit_tasks (topic, order_scope, seq) WHERE order_scope IS NOT NULL;

CREATE TABLE aftercommit_task_outcomes (
    entry           INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL,
    topic           TEXT    NOT NULL,
    task            TEXT    NOT NULL,
    organization_id TEXT,
    project_id      TEXT,
    attempts        INTEGER NOT NULL,
    outcome         TEXT    NOT NULL,
    code            TEXT,
    reason          TEXT,
    enqueued_at     INTEGER NOT NULL,
    finished_at     INTEGER NOT NULL,
    correlation_id  TEXT,
    causation_id    BLOB
) STRICT;

CREATE INDEX aftercommit_task_outcomes_id ON aftercommit_task_outcomes (id);

CREATE TABLE aftercommit_dead_letters (
    entry           INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    topic           TEXT    NOT NULL,
    task            TEXT    NOT NULL,
    organization_id TEXT,
    project_id      TEXT,
    order_scope     TEXT,
    attempts        INTEGER NOT NULL,
    code            TEXT    NOT NULL,
    fingerprint     TEXT    NOT NULL,
    -- The failure with its chain, as JSON.
    failure         TEXT    NOT NULL,
    enqueued_at     INTEGER NOT NULL,
    died_at         INTEGER NOT NULL,
    correlation_id  TEXT,
    causation_id    BLOB,
    body            BLOB    NOT NULL
) STRICT;

CREATE INDEX aftercommit_dead_letters_topic ON aftercommit_dead_letters (topic, died_at);

-- Who did what to a dead letter.
CREATE TABLE aftercommit_dead_letter_actions (
    entry  INTEGER PRIMARY KEY,
    id     BLOB    NOT NULL,
    action TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
