-- Schedules: what is published again and again, and what became of each slot.

CREATE TABLE aftercommit.schedules (
    entry           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Empty for none, so that they can be part of the key.
    organization_id text        NOT NULL,
    project_id      text        NOT NULL,
    key             text        NOT NULL,
    origin          text        NOT NULL,
    -- When a process said the last time that it declares it; NULL for one made at run time.
    declared_at     timestamptz,
    -- Raised with each change of what it is and of its pause.
    revision        bigint      NOT NULL,
    -- The next slot that nothing was decided about; NULL when there is none.
    next_slot       timestamptz,
    last_slot       timestamptz,
    last_outcome    text,
    -- The task of the newest slot that fired, and where it was put into the outbox.
    last_task       uuid,
    last_position   bigint,
    paused_at       timestamptz,
    paused_by       text,
    paused_reason   text,
    paused_until    timestamptz,
    resumed_by      text,
    document        text        NOT NULL,
    UNIQUE (organization_id, project_id, key)
) WITH (
    -- Changed with each slot: room for the new version beside the old one.
    fillfactor = 70
);

CREATE INDEX schedules_due ON aftercommit.schedules (next_slot) WHERE next_slot IS NOT NULL;

CREATE TABLE aftercommit.schedule_ticks (
    entry           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id text        NOT NULL,
    project_id      text        NOT NULL,
    key             text        NOT NULL,
    -- Of several slots that came to the same, the first and the last, and how many.
    slot            timestamptz NOT NULL,
    last_slot       timestamptz NOT NULL,
    slots           bigint      NOT NULL,
    outcome         text        NOT NULL,
    task            uuid,
    -- Who ordered it, of a run by hand.
    ordered_by      text,
    decided_at      timestamptz NOT NULL
);

-- A slot is decided about once.
CREATE UNIQUE INDEX schedule_ticks_slot ON aftercommit.schedule_ticks (organization_id, project_id, key, slot)
    WHERE ordered_by IS NULL;
CREATE INDEX schedule_ticks_history ON aftercommit.schedule_ticks (organization_id, project_id, key, entry);
CREATE INDEX schedule_ticks_decided ON aftercommit.schedule_ticks (decided_at);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['schedules', 'schedule_ticks'] LOOP
        EXECUTE format('ALTER TABLE aftercommit.%I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE aftercommit.%I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY engine ON aftercommit.%I TO CURRENT_USER '
            'USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL)',
            table_name
        );
        EXECUTE format(
            'CREATE POLICY tenant ON aftercommit.%I '
            'USING (aftercommit.may_touch(nullif(organization_id, ''''), nullif(project_id, ''''))) '
            'WITH CHECK (aftercommit.may_touch(nullif(organization_id, ''''), nullif(project_id, '''')))',
            table_name
        );
    END LOOP;
END
$$;

-- Carries out what becomes of slots, in one statement: whoever stops in the middle of a tick holds nothing up. Answers no row,
-- and changes nothing, when the schedule or its slot is no longer what was planned for, or somebody else has it now. Otherwise the time, and whether the
-- last task is not over, so that what was to fire was skipped. `by_hand` names who ordered a task besides the slots.
CREATE FUNCTION aftercommit.schedule_tick(
    of_organization text, of_project text, of_key text, at_revision bigint,
    from_slot timestamptz, to_slot timestamptz, skips_overlap boolean, by_hand text,
    tick_slots timestamptz[], tick_last_slots timestamptz[], tick_counts bigint[], tick_outcomes text[],
    tick_tasks uuid[], tick_orders text[], tick_bodies bytea[]
) RETURNS TABLE (decided_at timestamptz, was_active boolean)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
    AS $$
DECLARE
    schedule    bigint;
    before      uuid;
    at_position bigint;
    last_fired  uuid;
    tick        record;
BEGIN
    IF by_hand IS NULL THEN
        -- Who ticks waits for nobody: a transaction that changes a schedule must not hold up the others.
        SELECT mine.entry, mine.last_task, mine.last_position INTO schedule, before, at_position
        FROM aftercommit.schedules AS mine
        WHERE mine.organization_id = of_organization AND mine.project_id = of_project AND mine.key = of_key
            AND mine.revision = at_revision AND mine.next_slot = from_slot
        FOR UPDATE SKIP LOCKED;
    ELSE
        SELECT mine.entry, mine.last_task, mine.last_position INTO schedule, before, at_position
        FROM aftercommit.schedules AS mine
        WHERE mine.organization_id = of_organization AND mine.project_id = of_project AND mine.key = of_key
            AND mine.revision = at_revision
        FOR UPDATE;
    END IF;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    decided_at := aftercommit.clock();
    -- It waits to be published, or for a worker, or for its next attempt, or it is being run. What is kept aside is over.
    was_active := skips_overlap AND before IS NOT NULL AND (
        EXISTS (
            SELECT FROM aftercommit.outbox AS row
            WHERE row.position = at_position AND row.id = before AND row.state <> 3
        ) OR EXISTS (SELECT FROM aftercommit.tasks AS task WHERE task.id = before)
    );
    FOR tick IN
        SELECT line.* FROM unnest(
            tick_slots, tick_last_slots, tick_counts, tick_outcomes, tick_tasks, tick_orders, tick_bodies
        ) WITH ORDINALITY AS line (slot, last_slot, slots, outcome, task, order_text, body, place)
        ORDER BY line.place
    LOOP
        IF was_active AND tick.task IS NOT NULL THEN
            tick.task := NULL;
            tick.outcome := 'skipped_overlap';
        END IF;
        INSERT INTO aftercommit.schedule_ticks (
            organization_id, project_id, key, slot, last_slot, slots, outcome, task, ordered_by, decided_at
        ) VALUES (
            of_organization, of_project, of_key, tick.slot, tick.last_slot, tick.slots, tick.outcome, tick.task, by_hand,
            schedule_tick.decided_at
        ) ON CONFLICT DO NOTHING;
        -- It was decided about before, by a schedule of this key that was changed or removed since.
        CONTINUE WHEN NOT FOUND;
        IF tick.task IS NOT NULL THEN
            IF tick.order_text IS NOT NULL THEN
                PERFORM pg_advisory_xact_lock(1634036835, (hashtextextended(tick.order_text, 0) & 4095)::integer);
            END IF;
            INSERT INTO aftercommit.outbox AS row
                (id, kind, written_at, order_key, organization_id, project_id, bucket, body)
            VALUES (
                tick.task, 'task', schedule_tick.decided_at, hashtextextended(tick.order_text, 0),
                nullif(of_organization, ''), nullif(of_project, ''), coalesce(nullif(of_organization, ''), ' '), tick.body
            )
            RETURNING row.position INTO at_position;
            last_fired := tick.task;
        END IF;
    END LOOP;
    UPDATE aftercommit.schedules AS mine SET
        next_slot = CASE WHEN by_hand IS NULL THEN to_slot ELSE mine.next_slot END,
        last_slot = CASE WHEN by_hand IS NULL THEN tick.last_slot ELSE mine.last_slot END,
        last_outcome = CASE WHEN by_hand IS NULL THEN tick.outcome ELSE mine.last_outcome END,
        last_task = coalesce(last_fired, mine.last_task),
        last_position = at_position
    WHERE mine.entry = schedule;
    RETURN NEXT;
END
$$;
