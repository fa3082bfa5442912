"""What PostgreSQL itself holds: legal moves, one event per change, append-only history, ledger transactions that sum to 0."""

from django.db import migrations

MOVES = """
CREATE FUNCTION gq_job_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event_seq NOT IN (OLD.event_seq, OLD.event_seq + 1) THEN
        RAISE EXCEPTION 'job %: event_seq goes from % to %, one event at a time (I23)', OLD.id, OLD.event_seq, NEW.event_seq;
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF (OLD.state || '>' || NEW.state) NOT IN (
        'queued>submitting', 'queued>cancelled', 'queued>failed',
        'submitting>running', 'submitting>queued', 'submitting>failed', 'submitting>unknown',
        'running>storing', 'running>queued', 'running>failed', 'running>cancelling', 'running>unknown',
        'unknown>running', 'unknown>queued', 'unknown>failed',
        'cancelling>cancelled', 'cancelling>failed', 'cancelling>storing',
        'storing>completed', 'storing>failed',
        'failed>queued', 'cancelled>queued'
    ) THEN
        RAISE EXCEPTION 'job % cannot go from % to % (I24)', OLD.id, OLD.state, NEW.state;
    END IF;
    IF NEW.event_seq = OLD.event_seq THEN
        RAISE EXCEPTION 'job % goes from % to % without an event (I23)', OLD.id, OLD.state, NEW.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gq_job_moves BEFORE UPDATE OF state, event_seq ON queue_app_job FOR EACH ROW EXECUTE FUNCTION gq_job_moves();

CREATE FUNCTION gq_job_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'queued' OR NEW.event_seq <> 1 THEN
        RAISE EXCEPTION 'a job begins queued, with its first event (I23, I24); this one is % with event_seq %', NEW.state, NEW.event_seq;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gq_job_begins BEFORE INSERT ON queue_app_job FOR EACH ROW EXECUTE FUNCTION gq_job_begins();

CREATE FUNCTION gq_job_has_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text := '';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.event_seq = OLD.event_seq THEN
            RETURN NULL;
        END IF;
        before := OLD.state;
    END IF;
    PERFORM 1 FROM queue_app_jobevent
      WHERE job_id = NEW.id AND seq = NEW.event_seq AND from_state = before AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job %: no event % from "%" to "%" (I23)', NEW.id, NEW.event_seq, before, NEW.state;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER gq_job_has_event AFTER INSERT OR UPDATE OF event_seq ON queue_app_job
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gq_job_has_event();

CREATE FUNCTION gq_event_has_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written JOIN queue_app_job job ON job.id = written.job_id WHERE written.seq NOT BETWEEN 1 AND job.event_seq) THEN
        RAISE EXCEPTION 'an event without its change (I23)';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gq_event_has_job AFTER INSERT ON queue_app_jobevent
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION gq_event_has_job();
"""

MOVES_BACK = """
DROP TRIGGER gq_event_has_job ON queue_app_jobevent;
DROP TRIGGER gq_job_has_event ON queue_app_job;
DROP TRIGGER gq_job_begins ON queue_app_job;
DROP TRIGGER gq_job_moves ON queue_app_job;
DROP FUNCTION gq_event_has_job(), gq_job_has_event(), gq_job_begins(), gq_job_moves();
"""

APPEND_ONLY_TABLES = ("queue_app_jobevent", "queue_app_ledgertransaction", "queue_app_ledgerentry", "queue_app_auditentry")
APPEND_ONLY = (
    """
CREATE FUNCTION gq_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a row is never changed or deleted (I9)', TG_TABLE_NAME;
END $$;
"""
    + "".join(
        f"CREATE TRIGGER gq_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION gq_append_only();\n"
        for table in APPEND_ONLY_TABLES
    )
)
APPEND_ONLY_BACK = "".join(f"DROP TRIGGER gq_append_only ON {table};\n" for table in APPEND_ONLY_TABLES) + "DROP FUNCTION gq_append_only();"

ZERO_SUM = """
CREATE FUNCTION gq_ledger_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject bigint;
    legs integer;
    total bigint;
BEGIN
    IF TG_TABLE_NAME = 'queue_app_ledgertransaction' THEN
        subject := NEW.id;
    ELSE
        subject := NEW.transaction_id;
    END IF;
    SELECT count(*), coalesce(sum(amount), 0) INTO legs, total FROM queue_app_ledgerentry WHERE transaction_id = subject;
    IF legs < 2 OR total <> 0 THEN
        RAISE EXCEPTION 'ledger transaction % has % entries that sum to % (I1)', subject, legs, total;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER gq_ledger_transaction_sums AFTER INSERT ON queue_app_ledgertransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gq_ledger_sums_to_zero();
CREATE CONSTRAINT TRIGGER gq_ledger_entry_sums AFTER INSERT ON queue_app_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gq_ledger_sums_to_zero();
"""
ZERO_SUM_BACK = """
DROP TRIGGER gq_ledger_entry_sums ON queue_app_ledgerentry;
DROP TRIGGER gq_ledger_transaction_sums ON queue_app_ledgertransaction;
DROP FUNCTION gq_ledger_sums_to_zero();
"""

# read by each dequeue of the PostgreSQL broker; django-q2's own table has no index for it
BROKER_INDEX = "CREATE INDEX gq_broker_queue ON django_q_ormq (key, lock, id);"
BROKER_INDEX_BACK = "DROP INDEX gq_broker_queue;"

# counts of calls, written by the second: a crash of the server may forget them, so they need no log
UNLOGGED = "ALTER TABLE queue_app_callrate SET UNLOGGED;"
UNLOGGED_BACK = "ALTER TABLE queue_app_callrate SET LOGGED;"


class Migration(migrations.Migration):
    dependencies = [("queue_app", "0001_initial"), ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more")]

    operations = [
        migrations.RunSQL(MOVES, MOVES_BACK),
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_BACK),
        migrations.RunSQL(ZERO_SUM, ZERO_SUM_BACK),
        migrations.RunSQL(BROKER_INDEX, BROKER_INDEX_BACK),
        migrations.RunSQL(UNLOGGED, UNLOGGED_BACK),
    ]
