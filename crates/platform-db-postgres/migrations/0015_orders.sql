-- What people ordered about tasks: cancelling, pausing, and changing what waits under a key.
--
-- Two more states of a task: 3 set aside, because a pause holds it; 4 cancelled under its key, and still before the next of its
-- order key until the engine has ended it.

-- Which tasks are not to be run any more. Kept after that was carried out: a copy, or a publish that comes again, may come late.
CREATE TABLE aftercommit.cancel_orders (
    task       uuid        NOT NULL PRIMARY KEY,
    actor      text        NOT NULL,
    reason     text        NOT NULL,
    -- What the task ends with.
    outcome    text        NOT NULL,
    ordered_at timestamptz NOT NULL
);

CREATE INDEX cancel_orders_at ON aftercommit.cancel_orders (ordered_at);

-- What is paused. The parts of the target by which it holds tasks are columns of their own.
CREATE TABLE aftercommit.pauses (
    place           bigint      GENERATED ALWAYS AS IDENTITY,
    target          text        NOT NULL PRIMARY KEY,
    topic           text,
    task            text,
    organization_id text,
    project_id      text,
    reason          text        NOT NULL,
    actor           text        NOT NULL,
    since           timestamptz NOT NULL,
    until           timestamptz
);

CREATE INDEX tasks_aside ON aftercommit.tasks (seq) WHERE state = 3;

-- The engine's alone, except for what a unit of work cancels under a key.
ALTER TABLE aftercommit.cancel_orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.cancel_orders FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.cancel_orders TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
CREATE POLICY of_a_unit_of_work ON aftercommit.cancel_orders FOR INSERT TO CURRENT_USER
    WITH CHECK (aftercommit.current_scope() IS NOT NULL);
ALTER TABLE aftercommit.pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.pauses FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.pauses TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);

-- Ends a task that waits, or keeps the order until it can be carried out. Answers `ended`, `requested`, `unknown`, or the outcome
-- of a task that is over. `elsewhere`: whether a task that is not here may wait in a broker.
CREATE FUNCTION aftercommit.task_cancel(of_task uuid, by text, why text, ends_with text, elsewhere boolean) RETURNS text
    LANGUAGE plpgsql
    SET lock_timeout = '5s'
    AS $$
DECLARE
    key  bigint;
    word text;
BEGIN
    -- A task goes from the outbox to its topic, and not back: whoever looks in this order sees it.
    IF NOT EXISTS (SELECT FROM aftercommit.outbox WHERE id = of_task) THEN
        SELECT order_key INTO key FROM aftercommit.tasks WHERE id = of_task;
        IF FOUND THEN
            IF key IS NOT NULL THEN
                PERFORM aftercommit.tasks_take_turns(ARRAY[key]);
            END IF;
            WITH ended AS (
                DELETE FROM aftercommit.tasks WHERE id = of_task AND state <> 1 RETURNING *
            )
            INSERT INTO aftercommit.task_outcomes (
                id, topic, task, organization_id, project_id, attempts, outcome, reason, enqueued_at, finished_at,
                correlation_id, causation_id
            )
            SELECT id, topic, task, organization_id, project_id, attempts, 'cancelled', ends_with, enqueued_at,
                aftercommit.clock(), correlation_id, causation_id
            FROM ended;
            IF FOUND THEN
                IF key IS NOT NULL THEN
                    PERFORM aftercommit.tasks_bring_forward(ARRAY[key]);
                END IF;
                word := 'ended';
            END IF;
        END IF;
        IF word IS NULL AND NOT EXISTS (SELECT FROM aftercommit.tasks WHERE id = of_task) THEN
            SELECT 'dead' INTO word FROM aftercommit.dead_letters WHERE id = of_task;
            IF word IS NULL THEN
                SELECT outcome INTO word FROM aftercommit.task_outcomes WHERE id = of_task ORDER BY entry DESC LIMIT 1;
            END IF;
            IF word IS NULL AND NOT elsewhere THEN
                word := 'unknown';
            END IF;
            IF word IS NOT NULL THEN
                RETURN word;
            END IF;
        END IF;
    END IF;
    INSERT INTO aftercommit.cancel_orders (task, actor, reason, outcome, ordered_at)
    VALUES (of_task, by, why, ends_with, aftercommit.clock()) ON CONFLICT DO NOTHING;
    RETURN coalesce(word, 'requested');
END
$$;

-- The orders, newest first. Carries out first those whose task waits by now.
CREATE FUNCTION aftercommit.cancel_orders_outstanding(row_limit integer)
    RETURNS TABLE (ordered_task uuid, ordered_by text, ordered_why text)
    LANGUAGE plpgsql
    SET jit = off
    AS $$
DECLARE
    ripe uuid[];
    keys bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM aftercommit.cancel_orders) THEN
        RETURN;
    END IF;
    -- One process at a time; the others see what it did the next time.
    IF pg_try_advisory_xact_lock(1634036839, 0) THEN
        SELECT array_agg(mine.id), array_agg(mine.order_key) INTO ripe, keys
        FROM (
            SELECT task.id, task.order_key
            FROM aftercommit.cancel_orders AS one JOIN aftercommit.tasks AS task ON task.id = one.task
            WHERE task.state <> 1 ORDER BY one.ordered_at LIMIT 1000
        ) AS mine;
        IF ripe IS NOT NULL THEN
            PERFORM aftercommit.tasks_take_turns(keys);
            WITH ended AS (
                DELETE FROM aftercommit.tasks AS task USING aftercommit.cancel_orders AS one
                WHERE task.id = ANY (ripe) AND one.task = task.id AND task.state <> 1
                RETURNING task.*, one.outcome AS ends_with
            )
            INSERT INTO aftercommit.task_outcomes (
                id, topic, task, organization_id, project_id, attempts, outcome, reason, enqueued_at, finished_at,
                correlation_id, causation_id
            )
            SELECT id, topic, task, organization_id, project_id, attempts, 'cancelled', ends_with, enqueued_at,
                aftercommit.clock(), correlation_id, causation_id
            FROM ended ORDER BY seq;
            PERFORM aftercommit.tasks_bring_forward(array_remove(keys, NULL));
        END IF;
    END IF;
    RETURN QUERY
        SELECT one.task, one.actor, one.reason FROM aftercommit.cancel_orders AS one
        ORDER BY one.ordered_at DESC, one.task LIMIT row_limit;
END
$$;

-- Pauses, in the place of an earlier pause of the target. Answers since when; NULL when there are too many.
CREATE FUNCTION aftercommit.pause_begin(
    of_target text, of_topic text, of_task text, of_organization text, of_project text, why text, by text,
    lasts_until timestamptz, most integer
) RETURNS timestamptz
    LANGUAGE plpgsql
    AS $$
DECLARE
    now timestamptz := aftercommit.clock();
BEGIN
    PERFORM pg_advisory_xact_lock(1634036839, 1);
    DELETE FROM aftercommit.pauses WHERE target = of_target OR until <= now;
    IF (SELECT count(*) FROM aftercommit.pauses) >= most THEN
        RETURN NULL;
    END IF;
    INSERT INTO aftercommit.pauses (target, topic, task, organization_id, project_id, reason, actor, since, until)
    VALUES (of_target, of_topic, of_task, of_organization, of_project, why, by, now, lasts_until);
    RETURN now;
END
$$;

-- Lets tasks that were set aside and that no pause holds wait for a worker again. Answers their topics.
CREATE FUNCTION aftercommit.pauses_release(row_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET jit = off
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM aftercommit.tasks WHERE state = 3) THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH free AS (
            SELECT task.seq FROM aftercommit.tasks AS task
            WHERE task.state = 3 AND NOT EXISTS (
                SELECT FROM aftercommit.pauses AS pause
                WHERE (pause.until IS NULL OR pause.until > aftercommit.clock())
                    AND (pause.task IS NOT NULL OR pause.organization_id IS NOT NULL)
                    AND (pause.topic IS NULL OR pause.topic = task.topic)
                    AND (pause.task IS NULL OR pause.task = task.task)
                    AND (pause.organization_id IS NULL OR pause.organization_id = task.organization_id)
                    AND (pause.project_id IS NULL OR pause.project_id = task.project_id)
            )
            ORDER BY task.seq LIMIT row_limit FOR UPDATE SKIP LOCKED
        )
        UPDATE aftercommit.tasks AS task SET state = 0, due_at = greatest(task.due_at, aftercommit.clock())
        FROM free WHERE task.seq = free.seq RETURNING task.topic;
END
$$;

-- As the function of this name before, and those of which `aside` says so are held by a pause.
CREATE FUNCTION aftercommit.tasks_hold(
    ids uuid[], topics text[], names text[], organizations text[], projects text[], not_before timestamptz[],
    scopes text[], enqueued timestamptz[], correlations text[], causations uuid[], bodies bytea[],
    waits bigint[], attempts_so_far integer[], lost integer[], codes text[], reasons text[], aside boolean[]
) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET jit = off
    AS $$
BEGIN
    PERFORM aftercommit.tasks_hold(
        ids, topics, names, organizations, projects, not_before, scopes, enqueued, correlations, causations, bodies, waits,
        attempts_so_far, lost, codes, reasons
    );
    IF true = ANY (aside) THEN
        UPDATE aftercommit.tasks AS mine SET state = 3
        FROM unnest(ids, aside) AS line (id, is_aside)
        WHERE mine.id = line.id AND line.is_aside AND mine.state = 0;
    END IF;
END
$$;

-- What waits under a key, in the transaction of a unit of work, or of the application's own that says here whose it is. Runs as
-- the owner, whom row-level security holds to that tenant.
CREATE FUNCTION aftercommit.windows_change(
    change text, of_topic text, of_scope text, run_at timestamptz, ends_with text,
    scope text, organization text, project text
) RETURNS TABLE (changed_id uuid, changed_due_at timestamptz, changed_attempts integer)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '5s'
    SET enable_seqscan = off
    SET jit = off
    AS $$
DECLARE
    has_no_scope boolean := aftercommit.current_scope() IS NULL;
    seqs         bigint[];
BEGIN
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', scope, true),
            set_config('aftercommit.organization_id', coalesce(organization, ''), true),
            set_config('aftercommit.project_id', coalesce(project, ''), true);
    END IF;
    -- Without one it would be the engine's, who may touch everything.
    IF aftercommit.current_scope() IS NULL THEN
        RAISE EXCEPTION 'it is not said whose the transaction is' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF change = 'list' THEN
        SELECT array_agg(task.seq) INTO seqs FROM aftercommit.tasks AS task
        WHERE task.topic = of_topic AND task.window_scope = of_scope AND task.state NOT IN (1, 4)
            AND aftercommit.may_touch(task.organization_id, task.project_id);
    ELSE
        -- Locked, nobody is handed them; and whoever publishes under the key, or settles the task before one of them in its order,
        -- waits for this transaction.
        SELECT array_agg(mine.seq) INTO seqs FROM (
            SELECT task.seq FROM aftercommit.tasks AS task
            WHERE task.topic = of_topic AND task.window_scope = of_scope AND task.state NOT IN (1, 4)
                AND aftercommit.may_touch(task.organization_id, task.project_id)
            ORDER BY task.seq FOR UPDATE
        ) AS mine;
    END IF;
    RETURN QUERY
        SELECT task.id, task.due_at, task.attempts FROM aftercommit.tasks AS task
        WHERE task.seq = ANY (seqs) ORDER BY task.seq;
    IF change = 'move' THEN
        UPDATE aftercommit.tasks AS task SET due_at = greatest(run_at, aftercommit.clock()) WHERE task.seq = ANY (seqs);
    ELSIF change = 'cancel' THEN
        WITH ended AS (
            DELETE FROM aftercommit.tasks AS task WHERE task.seq = ANY (seqs) AND task.order_key IS NULL RETURNING *
        )
        INSERT INTO aftercommit.task_outcomes (
            id, topic, task, organization_id, project_id, attempts, outcome, reason, enqueued_at, finished_at,
            correlation_id, causation_id
        )
        SELECT ended.id, ended.topic, ended.task, ended.organization_id, ended.project_id, ended.attempts, 'cancelled',
            ends_with, ended.enqueued_at, aftercommit.clock(), ended.correlation_id, ended.causation_id
        FROM ended ORDER BY ended.seq;
        -- To let the next of an order key go is for the engine, which takes the turns of keys before rows.
        WITH marked AS (
            UPDATE aftercommit.tasks AS task SET state = 4, window_opened_at = NULL, window_scope = NULL
            WHERE task.seq = ANY (seqs) AND task.order_key IS NOT NULL RETURNING task.id
        )
        INSERT INTO aftercommit.cancel_orders (task, actor, reason, outcome, ordered_at)
        SELECT marked.id, '', ends_with, ends_with, aftercommit.clock() FROM marked ON CONFLICT DO NOTHING;
    END IF;
    IF has_no_scope THEN
        PERFORM set_config('aftercommit.scope', '', true);
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION aftercommit.windows_change(text, text, text, timestamptz, text, text, text, text) FROM PUBLIC;
