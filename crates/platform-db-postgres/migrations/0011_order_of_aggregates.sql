-- Events of one aggregate stay in order whether or not they name a project: the organization alone scopes the order. Only the
-- line that says the order key is another than before.
CREATE OR REPLACE FUNCTION aftercommit.write_event(
    name text, organization_id text, project_id text, aggregate_type text, aggregate_id text, payload json,
    schema_version integer DEFAULT 1, correlation_id text DEFAULT NULL
) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
DECLARE
    payload_limit constant integer := 262144;
    subject     text := aggregate_type || '/' || aggregate_id;
    digits      text := replace(gen_random_uuid()::text, '-', '');
    event_id    uuid;
    happened_at timestamptz := clock_timestamp();
    body        text;
BEGIN
    IF name IS NULL OR name !~ '^[A-Z][A-Za-z0-9]{0,119}$' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('aftercommit.write_event: %L is no event name', name),
            HINT = 'PascalCase in past tense, 1 to 120 letters and digits, such as ProjectCreated';
    END IF;
    IF organization_id IS NULL AND project_id IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: a project id without an organization id',
            HINT = 'give both, or neither for an event of the whole system';
    END IF;
    IF NOT coalesce(aftercommit.is_tenant_id(organization_id) AND aftercommit.is_tenant_id(project_id), false) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: an organization or project id is no tenant id',
            HINT = '1 to 64 bytes of text without spaces at its ends and without control characters';
    END IF;
    IF aggregate_type IS NULL OR aggregate_type !~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' OR octet_length(aggregate_type) > 120 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('aftercommit.write_event: %L is no aggregate type', aggregate_type),
            HINT = 'lower-kebab-case, 1 to 120 bytes, such as invoice';
    END IF;
    IF coalesce(aggregate_id, '') = '' OR octet_length(subject) > 200 OR subject ~ '[\x01-\x1f\x7f]' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: the aggregate id is empty, too long or holds control characters',
            HINT = 'aggregate type and id together have at most 199 bytes';
    END IF;
    IF schema_version IS NULL OR schema_version NOT BETWEEN 1 AND 65535 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('aftercommit.write_event: %s is no schema version', schema_version),
            HINT = '1 to 65535';
    END IF;
    IF correlation_id IS NOT NULL
        AND (correlation_id = '' OR octet_length(correlation_id) > 200 OR correlation_id ~ '[\x01-\x1f\x7f]')
    THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: the correlation id is empty, too long or holds control characters',
            HINT = '1 to 200 bytes';
    END IF;
    IF payload IS NULL OR json_typeof(payload) <> 'object' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: the payload is no JSON object',
            HINT = 'json_build_object(''organization_id'', …, ''project_id'', …)';
    END IF;
    IF octet_length(payload::text) > payload_limit THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('aftercommit.write_event: the payload has %s bytes, at most %s are allowed',
                octet_length(payload::text), payload_limit),
            HINT = 'store the content and send its key';
    END IF;
    -- Not after a backslash that is itself escaped.
    IF payload::text ~ '(^|[^\\])(\\\\)*\\u0000' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'aftercommit.write_event: the payload holds the character U+0000';
    END IF;

    -- A UUIDv7: the time in front, so that ids rise with it.
    event_id := lpad(to_hex(floor(extract(epoch FROM happened_at) * 1000)::bigint), 12, '0') || '7'
        || substr(digits, 14);
    body := left(json_strip_nulls(json_build_object(
            'specversion', '1.0',
            'id', event_id,
            'type', name,
            'source', '/sql/' || current_database(),
            'subject', subject,
            'time', to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'datacontenttype', 'application/json',
            'organizationid', organization_id,
            'projectid', project_id,
            'schemaversion', schema_version,
            'correlationid', correlation_id
        ))::text, -1)
        -- The payload as it was written: no number and no key changes.
        || ',"data":' || payload::text || '}';
    PERFORM aftercommit.outbox_append(
        ARRAY[event_id], ARRAY['event'],
        ARRAY[concat_ws(chr(31), coalesce(organization_id, ''), '', subject)],
        ARRAY[organization_id], ARRAY[project_id], ARRAY[name], ARRAY[happened_at],
        ARRAY[convert_to(body, 'UTF8')],
        CASE WHEN organization_id IS NULL THEN 'system' WHEN project_id IS NULL THEN 'organization' ELSE 'project' END,
        organization_id, project_id
    );
    RETURN event_id;
END
$$;
