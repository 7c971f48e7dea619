-- How often a task died and since when, what exactly was done to a dead letter, and what operators ordered for many.

ALTER TABLE aftercommit.dead_letters
    ADD COLUMN deaths integer NOT NULL DEFAULT 1,
    -- NULL in rows of before: when it died.
    ADD COLUMN first_died_at timestamptz;

CREATE INDEX dead_letters_fingerprint ON aftercommit.dead_letters (fingerprint, entry);

ALTER TABLE aftercommit.dead_letter_actions
    -- The letter as it was.
    ADD COLUMN topic text,
    ADD COLUMN fingerprint text,
    ADD COLUMN died_at timestamptz,
    ADD COLUMN deaths integer,
    ADD COLUMN first_died_at timestamptz,
    -- The bytes that a correction replaced.
    ADD COLUMN replaced bytea,
    ADD COLUMN bulk_run_id uuid;

CREATE INDEX dead_letter_actions_id ON aftercommit.dead_letter_actions (id, entry);
CREATE INDEX dead_letter_actions_bulk_run ON aftercommit.dead_letter_actions (bulk_run_id, entry)
    WHERE bulk_run_id IS NOT NULL;

-- A trigger, because letters are added in several places, and by processes of the version before.
CREATE FUNCTION aftercommit.dead_letters_count_deaths() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.deaths := OLD.deaths + 1;
        NEW.first_died_at := coalesce(OLD.first_died_at, OLD.died_at);
        RETURN NEW;
    END IF;
    -- What it was when it was replayed the last time.
    SELECT coalesce(action.deaths, 0) + 1, action.first_died_at INTO NEW.deaths, NEW.first_died_at
    FROM aftercommit.dead_letter_actions AS action
    WHERE action.id = NEW.id ORDER BY action.entry DESC LIMIT 1;
    NEW.deaths := coalesce(NEW.deaths, 1);
    NEW.first_died_at := coalesce(NEW.first_died_at, NEW.died_at);
    RETURN NEW;
END
$$;

CREATE TRIGGER count_deaths BEFORE INSERT OR UPDATE OF died_at ON aftercommit.dead_letters
    FOR EACH ROW EXECUTE FUNCTION aftercommit.dead_letters_count_deaths();

CREATE TABLE aftercommit.bulk_runs (
    entry       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid        NOT NULL UNIQUE,
    -- The order as JSON: the same text for the same order.
    request     text        NOT NULL,
    state       text        NOT NULL,
    begun_at    timestamptz NOT NULL,
    stepped_at  timestamptz NOT NULL,
    -- Who has it for a step, and until when.
    token       bigint      NOT NULL DEFAULT 0,
    taken_until timestamptz NOT NULL DEFAULT '-infinity',
    -- The run as JSON.
    document    text        NOT NULL
);

CREATE INDEX bulk_runs_stepped ON aftercommit.bulk_runs (stepped_at);

-- They belong to nobody's tenant: the engine's alone.
ALTER TABLE aftercommit.bulk_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE aftercommit.bulk_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY engine ON aftercommit.bulk_runs TO CURRENT_USER
    USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL);
