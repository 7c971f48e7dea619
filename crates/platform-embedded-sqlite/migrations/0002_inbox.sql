-- The inbox: which messages a handler has done, claimed in the transaction it does them in.

CREATE TABLE aftercommit_inbox (
    message_id      BLOB    NOT NULL,
    handler         TEXT    NOT NULL,
    -- Empty for none, so that they can be part of the key: an id of one tenant says nothing about another's.
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    -- What the message said: to notice another one under its id.
    payload         BLOB    NOT NULL,
    claimed_at      INTEGER NOT NULL,
    PRIMARY KEY (message_id, handler, organization_id, project_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX aftercommit_inbox_claimed ON aftercommit_inbox (claimed_at);
