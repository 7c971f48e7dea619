-- Three questions come before there is a tenant, because their answer tells which it is to be. Each is put by something
-- that only its owner knows or was given, and answered with that one row; nobody can list anything. They run as the owner
-- of the tables, who sees everything outside a unit of work; inside one they answer what its tenant may see anyway.

CREATE FUNCTION reference.api_key_by_digest(of_digest bytea)
    RETURNS TABLE (
        organization_id text, id uuid, project_id text, digest bytea, created_at timestamptz, revoked_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT key.organization_id, key.id, key.project_id, key.digest, key.created_at, key.revoked_at
        FROM reference.api_keys AS key WHERE key.digest = of_digest
    $$;

CREATE FUNCTION reference.sign_in_link_by_token(of_token bytea)
    RETURNS TABLE (
        id uuid, email_key text, email bytea, user_id uuid, token bytea, created_at timestamptz, expires_at timestamptz,
        used_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT link.id, link.email_key, link.email, link.user_id, link.token, link.created_at, link.expires_at,
            link.used_at
        FROM reference.sign_in_links AS link WHERE link.token = of_token
    $$;

CREATE FUNCTION reference.tenant_of_invitation(invitation uuid)
    RETURNS TABLE (organization_id text, project_id text)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT invited.organization_id, invited.project_id
        FROM reference.invitations AS invited WHERE invited.id = invitation
    $$;

REVOKE ALL ON FUNCTION reference.api_key_by_digest(bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION reference.sign_in_link_by_token(bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION reference.tenant_of_invitation(uuid) FROM PUBLIC;
