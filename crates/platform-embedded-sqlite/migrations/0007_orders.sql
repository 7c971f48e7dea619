-- What people ordered about tasks.

-- Which tasks are not to be run any more. Kept after that was carried out: a publish that comes again may come late.
CREATE TABLE aftercommit_cancel_orders (
    task       BLOB    NOT NULL PRIMARY KEY,
    actor      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    ordered_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX aftercommit_cancel_orders_at ON aftercommit_cancel_orders (ordered_at);

-- What is paused. The parts of the target by which it holds tasks are columns of their own.
CREATE TABLE aftercommit_pauses (
    target          TEXT    NOT NULL PRIMARY KEY,
    topic           TEXT,
    task            TEXT,
    organization_id TEXT,
    project_id      TEXT,
    reason          TEXT    NOT NULL,
    actor           TEXT    NOT NULL,
    since           INTEGER NOT NULL,
    until           INTEGER
) STRICT;

-- Tasks in state 3 are set aside: a pause holds them.
CREATE INDEX aftercommit_tasks_aside ON aftercommit_tasks (seq) WHERE state = 3;
