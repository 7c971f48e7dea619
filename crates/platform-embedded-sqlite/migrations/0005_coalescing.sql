-- Coalescing: publishes of one key that are one task.

-- The scope of the key; NULL for a task of its own.
ALTER TABLE aftercommit_tasks ADD COLUMN window_scope TEXT;
-- When the first publish opened the window; only of those that may be replaced, until they are taken.
ALTER TABLE aftercommit_tasks ADD COLUMN window_opened_at INTEGER;

-- What further publishes may take the place of: one of a key.
CREATE UNIQUE INDEX aftercommit_tasks_open ON aftercommit_tasks (topic, window_scope) WHERE window_opened_at IS NOT NULL;
CREATE INDEX aftercommit_tasks_window ON aftercommit_tasks (topic, window_scope) WHERE window_scope IS NOT NULL;

-- Which publish of a key is the one, until when. Apart from the task, which may be over long before.
CREATE TABLE aftercommit_once (
    topic        TEXT    NOT NULL,
    window_scope TEXT    NOT NULL,
    id           BLOB    NOT NULL,
    until        INTEGER NOT NULL,
    PRIMARY KEY (topic, window_scope)
) STRICT, WITHOUT ROWID;

CREATE INDEX aftercommit_once_until ON aftercommit_once (until);

-- Which publishes were coalesced, and into which task: one that comes again changes nothing.
CREATE TABLE aftercommit_coalesced (
    id           BLOB    NOT NULL PRIMARY KEY,
    task         BLOB    NOT NULL,
    coalesced_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX aftercommit_coalesced_at ON aftercommit_coalesced (coalesced_at);
