-- The reference product. Times are microseconds since 1970 in UTC; ids of entities are the 16 bytes of a UUID, ids of
-- tenants are text. An e-mail address is stored sealed and, where it is looked up, as the SHA-256 of its lower case;
-- secrets as their SHA-256 only.

CREATE TABLE reference_organizations (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE reference_projects (
    organization_id TEXT    NOT NULL REFERENCES reference_organizations (id),
    id              TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    is_default      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    provisioned_at  INTEGER,
    first_record_at INTEGER,
    deleted_at      INTEGER,
    PRIMARY KEY (organization_id, id)
) STRICT;

-- Every organization has exactly one.
CREATE UNIQUE INDEX reference_projects_default ON reference_projects (organization_id) WHERE is_default = 1;

-- People belong to no tenant: the same person may be a member of several.
CREATE TABLE reference_users (
    id           BLOB    NOT NULL PRIMARY KEY,
    email_digest BLOB    NOT NULL UNIQUE,
    email_key    TEXT    NOT NULL,
    email        BLOB    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE reference_memberships (
    organization_id TEXT    NOT NULL REFERENCES reference_organizations (id),
    user_id         BLOB    NOT NULL REFERENCES reference_users (id),
    role            TEXT    NOT NULL,
    joined_at       INTEGER NOT NULL,
    PRIMARY KEY (organization_id, user_id)
) STRICT;

CREATE INDEX reference_memberships_user ON reference_memberships (user_id);

CREATE TABLE reference_api_keys (
    organization_id TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    project_id      TEXT    NOT NULL,
    -- Unique over all tenants: it is what tells whose a request is.
    digest          BLOB    NOT NULL UNIQUE,
    created_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT;

-- Whoever signs in has no tenant yet.
CREATE TABLE reference_sign_in_links (
    id         BLOB    NOT NULL PRIMARY KEY,
    email_key  TEXT    NOT NULL,
    email      BLOB    NOT NULL,
    user_id    BLOB REFERENCES reference_users (id),
    token      BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE INDEX reference_sign_in_links_expiry ON reference_sign_in_links (expires_at);

CREATE TABLE reference_invitations (
    organization_id  TEXT    NOT NULL,
    id               BLOB    NOT NULL,
    project_id       TEXT    NOT NULL,
    email_key        TEXT    NOT NULL,
    email            BLOB    NOT NULL,
    role             TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    emailed_at       INTEGER,
    -- The task that sends the e-mail, and since when.
    email_task       BLOB,
    email_claimed_at INTEGER,
    accepted_by      BLOB REFERENCES reference_users (id),
    accepted_at      INTEGER,
    revoked_at       INTEGER,
    expired_at       INTEGER,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT;

-- A link in an e-mail names the invitation only.
CREATE UNIQUE INDEX reference_invitations_id ON reference_invitations (id);

CREATE TABLE reference_invitation_tokens (
    -- Rises with every token, so that the oldest is known.
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id TEXT    NOT NULL,
    invitation_id   BLOB    NOT NULL,
    token           BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (organization_id, invitation_id, token),
    FOREIGN KEY (organization_id, invitation_id) REFERENCES reference_invitations (organization_id, id)
) STRICT;

CREATE TABLE reference_records (
    organization_id TEXT    NOT NULL,
    project_id      TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    body            TEXT    NOT NULL,
    batch           TEXT    NOT NULL,
    received_at     INTEGER NOT NULL,
    PRIMARY KEY (organization_id, project_id, key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference_projects (organization_id, id)
) STRICT;

CREATE TABLE reference_requests (
    -- Empty on a route that is open; no organization's id is.
    organization_id TEXT    NOT NULL,
    route           TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    id              BLOB    NOT NULL UNIQUE,
    fingerprint     BLOB    NOT NULL,
    claimed_at      INTEGER NOT NULL,
    -- Sealed: an answer may show a secret. Never NULL in a committed row.
    answer_key      TEXT,
    answer          BLOB,
    PRIMARY KEY (organization_id, route, key)
) STRICT;

CREATE INDEX reference_requests_age ON reference_requests (claimed_at);
