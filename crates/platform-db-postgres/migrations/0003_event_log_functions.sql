-- The days of the event log.

-- Makes the days from today to `days_ahead` days from now. Answers how many were made.
CREATE FUNCTION aftercommit.event_log_make_days(days_ahead integer) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, aftercommit
    SET timezone = 'UTC'
    AS $$
DECLARE
    day  date;
    made integer := 0;
BEGIN
    -- Two processes that make the same day take turns.
    PERFORM pg_advisory_xact_lock(1634036836);
    FOR day IN SELECT aftercommit.clock()::date + ahead FROM generate_series(0, least(days_ahead, 62)) AS ahead LOOP
        CONTINUE WHEN to_regclass(format('aftercommit.event_log_%s', to_char(day, 'YYYYMMDD'))) IS NOT NULL;
        BEGIN
            EXECUTE format(
                'CREATE TABLE aftercommit.event_log_%s PARTITION OF aftercommit.event_log FOR VALUES FROM (%L) TO (%L)',
                to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz
            );
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            -- Events of that day are in the rest already; they stay there, and the day with them.
            RAISE WARNING 'the event log keeps % in aftercommit.event_log_rest', day;
        END;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the days that ended before `before`, oldest first, at most `most`. Answers how many events they held.
CREATE FUNCTION aftercommit.event_log_drop_days(before timestamptz, most integer) RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, aftercommit
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
    AS $$
DECLARE
    day_table name;
    held      bigint;
    forgotten bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(1634036836);
    FOR day_table IN
        SELECT child.relname FROM pg_inherits
        JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = 'aftercommit.event_log'::regclass
            AND child.relname ~ '^event_log_[0-9]{8}$'
            AND to_date(substr(child.relname, 11), 'YYYYMMDD') + 1 <= before
        ORDER BY child.relname LIMIT most
    LOOP
        EXECUTE format('SELECT count(*) FROM aftercommit.%I', day_table) INTO held;
        EXECUTE format('DROP TABLE aftercommit.%I', day_table);
        forgotten := forgotten + held;
    END LOOP;
    RETURN forgotten;
END
$$;

-- They run as the owner of the tables, so only those it is granted to may call them.
REVOKE EXECUTE ON FUNCTION aftercommit.event_log_make_days(integer) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION aftercommit.event_log_drop_days(timestamptz, integer) FROM PUBLIC;

SELECT aftercommit.event_log_make_days(7);
