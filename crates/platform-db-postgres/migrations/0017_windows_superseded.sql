-- What became of publishes whose task is another by now. As a statement of a process it was planned once, when the table was
-- small, and read all of it from then on.

CREATE FUNCTION aftercommit.windows_supersede(superseded uuid[], by uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
BEGIN
    UPDATE aftercommit.coalesced AS mine SET task = line.task
    FROM unnest(superseded, by) AS line (id, task) WHERE mine.id = line.id;
END
$$;

-- The same as before, in one call.
CREATE FUNCTION aftercommit.windows_apply(
    removed bigint[], closed bigint[],
    replaced_seqs bigint[], replaced_ids uuid[], replaced_due timestamptz[], replaced_enqueued timestamptz[],
    replaced_correlations text[], replaced_causations uuid[], replaced_bodies bytea[],
    new_ids uuid[], new_topics text[], new_names text[], new_organizations text[], new_projects text[],
    new_due timestamptz[], new_order_scopes text[], new_enqueued timestamptz[], new_correlations text[],
    new_causations uuid[], new_bodies bytea[], new_scopes text[], new_opened timestamptz[],
    once_topics text[], once_scopes text[], once_ids uuid[], once_until timestamptz[],
    coalesced_ids uuid[], coalesced_tasks uuid[], superseded uuid[], superseded_by uuid[]
) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM aftercommit.windows_apply(
        removed, closed, replaced_seqs, replaced_ids, replaced_due, replaced_enqueued, replaced_correlations,
        replaced_causations, replaced_bodies, new_ids, new_topics, new_names, new_organizations, new_projects, new_due,
        new_order_scopes, new_enqueued, new_correlations, new_causations, new_bodies, new_scopes, new_opened, once_topics,
        once_scopes, once_ids, once_until, coalesced_ids, coalesced_tasks
    );
    IF cardinality(superseded) > 0 THEN
        PERFORM aftercommit.windows_supersede(superseded, superseded_by);
    END IF;
END
$$;
