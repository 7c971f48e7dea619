-- The reference product. Ids of entities are UUIDs, ids of tenants are text. An e-mail address is stored sealed and, where
-- it is looked up, as the SHA-256 of its lower case; secrets as their SHA-256 only.

CREATE TABLE reference.organizations (
    id         text        PRIMARY KEY,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE reference.projects (
    organization_id text        NOT NULL REFERENCES reference.organizations (id),
    id              text        NOT NULL,
    name            text        NOT NULL,
    is_default      boolean     NOT NULL,
    created_at      timestamptz NOT NULL,
    provisioned_at  timestamptz,
    first_record_at timestamptz,
    deleted_at      timestamptz,
    PRIMARY KEY (organization_id, id)
);

-- Every organization has exactly one.
CREATE UNIQUE INDEX projects_default ON reference.projects (organization_id) WHERE is_default;

-- People belong to no tenant: the same person may be a member of several.
CREATE TABLE reference.users (
    id           uuid        PRIMARY KEY,
    email_digest bytea       NOT NULL UNIQUE,
    email_key    text        NOT NULL,
    email        bytea       NOT NULL,
    created_at   timestamptz NOT NULL
);

CREATE TABLE reference.memberships (
    organization_id text        NOT NULL REFERENCES reference.organizations (id),
    user_id         uuid        NOT NULL REFERENCES reference.users (id),
    role            text        NOT NULL,
    joined_at       timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

CREATE INDEX memberships_user ON reference.memberships (user_id);

CREATE TABLE reference.api_keys (
    organization_id text        NOT NULL,
    id              uuid        NOT NULL,
    project_id      text        NOT NULL,
    -- Unique over all tenants, because it is what tells whose a request is. Tells nobody anything: who can make the same
    -- one has the key.
    digest          bytea       NOT NULL UNIQUE,
    created_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

-- Whoever signs in has no tenant yet.
CREATE TABLE reference.sign_in_links (
    id         uuid        PRIMARY KEY,
    email_key  text        NOT NULL,
    email      bytea       NOT NULL,
    user_id    uuid        REFERENCES reference.users (id),
    token      bytea       NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE INDEX sign_in_links_expiry ON reference.sign_in_links (expires_at);

CREATE TABLE reference.invitations (
    organization_id  text        NOT NULL,
    -- Unique over all tenants, because the link in an e-mail names nothing else.
    id               uuid        NOT NULL UNIQUE,
    project_id       text        NOT NULL,
    email_key        text        NOT NULL,
    email            bytea       NOT NULL,
    role             text        NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    emailed_at       timestamptz,
    -- The task that sends the e-mail, and since when.
    email_task       uuid,
    email_claimed_at timestamptz,
    accepted_by      uuid        REFERENCES reference.users (id),
    accepted_at      timestamptz,
    revoked_at       timestamptz,
    expired_at       timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

CREATE TABLE reference.invitation_tokens (
    -- Rises with every token, so that the oldest is known.
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id text        NOT NULL,
    invitation_id   uuid        NOT NULL,
    token           bytea       NOT NULL,
    created_at      timestamptz NOT NULL,
    UNIQUE (organization_id, invitation_id, token),
    FOREIGN KEY (organization_id, invitation_id) REFERENCES reference.invitations (organization_id, id)
);

CREATE TABLE reference.records (
    organization_id text        NOT NULL,
    project_id      text        NOT NULL,
    key             text        NOT NULL,
    id              uuid        NOT NULL,
    -- JSON as it came; neither json type keeps it so.
    body            text        NOT NULL,
    batch           text        NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (organization_id, project_id, key),
    FOREIGN KEY (organization_id, project_id) REFERENCES reference.projects (organization_id, id)
);

CREATE TABLE reference.requests (
    -- Empty on a route that is open; no organization's id is.
    organization_id text        NOT NULL,
    route           text        NOT NULL,
    key             text        NOT NULL,
    id              uuid        NOT NULL,
    fingerprint     bytea       NOT NULL,
    claimed_at      timestamptz NOT NULL,
    -- Sealed: an answer may show a secret. Never NULL in a committed row.
    answer_key      text,
    answer          bytea,
    PRIMARY KEY (organization_id, route, key),
    UNIQUE (id, organization_id)
);

CREATE INDEX requests_age ON reference.requests (claimed_at);
