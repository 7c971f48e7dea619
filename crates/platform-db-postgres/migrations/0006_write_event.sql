-- For producers in any language: writes an event in the caller's transaction. Checks what SQL can check and fails that
-- transaction otherwise; the relay checks the payload against its contract and sets the row aside with the reason.
-- Answers the event's id.
CREATE FUNCTION aftercommit.write_event(
    name text, organization_id text, project_id text, aggregate_type text, aggregate_id text, payload json,
    schema_version integer DEFAULT 1, correlation_id text DEFAULT NULL
) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
DECLARE
    millis  bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    random  uuid := gen_random_uuid();
    id      uuid;
BEGIN
    -- Placeholder, replaced below by the checked version.
    RAISE EXCEPTION 'not yet';
END
$$;
