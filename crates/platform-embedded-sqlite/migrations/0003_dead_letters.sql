-- How often a task died and since when, what exactly was done to a dead letter, and what operators ordered for many.

ALTER TABLE aftercommit_dead_letters ADD COLUMN deaths INTEGER NOT NULL DEFAULT 1;
-- NULL in rows of before: when it died.
ALTER TABLE aftercommit_dead_letters ADD COLUMN first_died_at INTEGER;

CREATE INDEX aftercommit_dead_letters_fingerprint ON aftercommit_dead_letters (fingerprint, entry);

-- The letter as it was.
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN topic TEXT;
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN fingerprint TEXT;
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN died_at INTEGER;
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN deaths INTEGER;
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN first_died_at INTEGER;
-- The bytes that a correction replaced.
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN replaced BLOB;
ALTER TABLE aftercommit_dead_letter_actions ADD COLUMN bulk_run_id BLOB;

CREATE INDEX aftercommit_dead_letter_actions_id ON aftercommit_dead_letter_actions (id, entry);
CREATE INDEX aftercommit_dead_letter_actions_bulk_run ON aftercommit_dead_letter_actions (bulk_run_id, entry)
    WHERE bulk_run_id IS NOT NULL;

CREATE TABLE aftercommit_bulk_runs (
    entry       INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    -- The order as JSON: the same text for the same order.
    request     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    begun_at    INTEGER NOT NULL,
    stepped_at  INTEGER NOT NULL,
    -- Who has it for a step, and until when.
    token       INTEGER NOT NULL DEFAULT 0,
    taken_until INTEGER NOT NULL DEFAULT 0,
    -- The run as JSON.
    document    TEXT    NOT NULL
) STRICT;

CREATE INDEX aftercommit_bulk_runs_stepped ON aftercommit_bulk_runs (stepped_at);
