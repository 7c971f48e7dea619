-- What belongs together is found by its correlation id. Only what stays is indexed: rows of the outbox and unfinished tasks
-- come and go, and a second index would cost each of them more than looking through the newest now and then.

ALTER TABLE aftercommit_event_log ADD COLUMN correlation_id TEXT GENERATED ALWAYS AS (
    CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ->> '$.correlationid' END
) VIRTUAL;

CREATE INDEX aftercommit_event_log_correlation ON aftercommit_event_log (correlation_id);
CREATE INDEX aftercommit_task_outcomes_correlation ON aftercommit_task_outcomes (correlation_id);
CREATE INDEX aftercommit_dead_letters_correlation ON aftercommit_dead_letters (correlation_id);
