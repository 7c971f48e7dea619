-- Schedules: what is published again and again, and what became of each slot.

CREATE TABLE aftercommit_schedules (
    entry           INTEGER PRIMARY KEY,
    -- Empty for none, so that they can be part of the key.
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    -- When a process said the last time that it declares it; NULL for one made at run time.
    declared_at     INTEGER,
    -- Raised with each change of what it is and of its pause.
    revision        INTEGER NOT NULL,
    -- The next slot that nothing was decided about; NULL when there is none.
    next_slot       INTEGER,
    last_slot       INTEGER,
    last_outcome    TEXT,
    -- The task of the newest slot that fired, and where it was put into the outbox.
    last_task       BLOB,
    last_position   INTEGER,
    paused_at       INTEGER,
    paused_by       TEXT,
    paused_reason   TEXT,
    paused_until    INTEGER,
    resumed_by      TEXT,
    document        TEXT    NOT NULL,
    UNIQUE (organization_id, project_id, key)
) STRICT;

CREATE INDEX aftercommit_schedules_due ON aftercommit_schedules (next_slot) WHERE next_slot IS NOT NULL;

CREATE TABLE aftercommit_schedule_ticks (
    entry           INTEGER PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    -- Of several slots that came to the same, the first and the last, and how many.
    slot            INTEGER NOT NULL,
    last_slot       INTEGER NOT NULL,
    slots           INTEGER NOT NULL,
    outcome         TEXT    NOT NULL,
    task            BLOB,
    -- Who ordered it, of a run by hand.
    ordered_by      TEXT,
    decided_at      INTEGER NOT NULL
) STRICT;

-- A slot is decided about once.
CREATE UNIQUE INDEX aftercommit_schedule_ticks_slot
    ON aftercommit_schedule_ticks (organization_id, project_id, key, slot) WHERE ordered_by IS NULL;
CREATE INDEX aftercommit_schedule_ticks_history ON aftercommit_schedule_ticks (organization_id, project_id, key, entry);
CREATE INDEX aftercommit_schedule_ticks_decided ON aftercommit_schedule_ticks (decided_at);
