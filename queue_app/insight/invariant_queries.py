"""
The invariants that can be checked in the database: each is a sentence and the query for the rows that break it.

Others are a constraint of the schema (I13), the order in which positions are computed (I18), a lock (I21), or visible only to
tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from queue_app.lifecycle import MOVES
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, TERMINAL_STATES
from queue_app.work import media


@dataclass(frozen=True)
class Rule:
    """One rule; its query returns the offending rows: first column ``id``, then what it takes to understand them."""

    id: str
    sentence: str
    sql: str

    @property
    def needs_time(self) -> bool:
        return "%(at)s" in self.sql


PARAMETERS: Mapping[str, Any] = {
    "open": [str(state) for state in OPEN_STATES],
    "in_flight": [str(state) for state in IN_FLIGHT_STATES],
    "terminal": [str(state) for state in TERMINAL_STATES],
    "moves": [f"{before}>{after}" for before, afters in MOVES.items() for after in afters],
    "types": [f"{kind} {content_type}" for kind, types in media.ALLOWED_TYPES.items() for content_type in types],
    "name": r"^assets/[0-9]{4}/[0-9]{2}/[0-9a-f-]{36}\.[a-z0-9]+$",
    "append_only": [f"queue_app_{table}" for table in ("jobevent", "ledgertransaction", "ledgerentry", "auditentry")],
}

# the job's current attempt
_AT = "JOIN queue_app_attempt a ON a.job_id = j.id AND a.step = 'main' AND a.number = j.attempt_number"
_TIMEOUT = """coalesce((SELECT timeout_seconds FROM queue_app_generationmodel WHERE key = j.model_id),
    (SELECT timeout_seconds FROM queue_app_kind WHERE key = j.kind_id))"""

OBJECTS = Rule("I34", "The file of every saved asset exists.", "")
RULES = [
    # --- money ------------------------------------------------------------------------------------------------------
    Rule(
        "I1",
        "The entries of a ledger transaction sum to 0. There are at least two, and none is 0.",
        """SELECT t.id, t.key, count(e.id) AS entries, coalesce(sum(e.amount), 0) AS sum
             FROM queue_app_ledgertransaction t LEFT JOIN queue_app_ledgerentry e ON e.transaction_id = t.id
            GROUP BY t.id HAVING count(e.id) < 2 OR sum(e.amount) <> 0 OR bool_or(e.amount = 0)""",
    ),
    Rule(
        "I2",
        "A wallet is never below 0.",
        "SELECT id, available, reserved FROM queue_app_wallet WHERE available < 0 OR reserved < 0",
    ),
    Rule(
        "I3",
        "A wallet's columns equal the sums of their ledger entries.",
        """SELECT w.id, w.available, coalesce(s.available, 0) AS available_by_ledger,
                  w.reserved, coalesce(s.reserved, 0) AS reserved_by_ledger
             FROM queue_app_wallet w
             LEFT JOIN (SELECT wallet_id, sum(amount) FILTER (WHERE side = 'available') AS available,
                               sum(amount) FILTER (WHERE side = 'reserved') AS reserved
                          FROM queue_app_ledgerentry GROUP BY 1) s ON s.wallet_id = w.id
            WHERE w.available <> coalesce(s.available, 0) OR w.reserved <> coalesce(s.reserved, 0)""",
    ),
    Rule(
        "I4",
        "A wallet's reserved tickets are the sum of its held reservations.",
        """SELECT w.id, w.reserved, coalesce(sum(r.amount), 0) AS held
             FROM queue_app_wallet w LEFT JOIN queue_app_reservation r ON r.wallet_id = w.id AND r.state = 'held'
            GROUP BY w.id HAVING w.reserved <> coalesce(sum(r.amount), 0)""",
    ),
    Rule(
        "I5",
        "An unfinished job has exactly one held reservation. A finished job has none.",
        """SELECT j.id, j.state, count(r.id) AS held
             FROM queue_app_job j LEFT JOIN queue_app_reservation r ON r.job_id = j.id AND r.state = 'held'
            GROUP BY j.id HAVING count(r.id) <> CASE WHEN j.state = ANY(%(open)s) THEN 1 ELSE 0 END""",
    ),
    Rule(
        "I6",
        "A reservation has one reserve transaction and, once not held, exactly one settle transaction of its amount.",
        # summed once: on tables not yet analyzed the planner would sum anew for each reservation, for minutes
        """WITH t AS MATERIALIZED (
             SELECT t.id, t.kind, t.reservation_id, sum(e.amount) FILTER (WHERE e.side = 'reserved') AS held
               FROM queue_app_ledgertransaction t LEFT JOIN queue_app_ledgerentry e ON e.transaction_id = t.id
              WHERE t.kind IN ('reserve', 'capture', 'release') GROUP BY t.id)
           SELECT r.id, r.job_id AS job, r.state, r.amount, count(*) FILTER (WHERE t.kind = 'reserve') AS reserves,
                  count(*) FILTER (WHERE t.kind IN ('capture', 'release')) AS settles
             FROM queue_app_reservation r LEFT JOIN t ON t.reservation_id = r.id
            GROUP BY r.id
           HAVING count(*) FILTER (WHERE t.kind = 'reserve' AND t.held = r.amount) <> 1
               OR count(*) FILTER (WHERE t.kind IN ('capture', 'release')) <> CASE r.state WHEN 'held' THEN 0 ELSE 1 END
               OR bool_or(t.kind IN ('capture', 'release')
                          AND (t.held IS DISTINCT FROM -r.amount
                               OR r.state <> CASE t.kind WHEN 'capture' THEN 'captured' ELSE 'released' END))""",
    ),
    Rule(
        "I7",
        "Completed means charged. Failed and cancelled mean returned in full.",
        """SELECT j.id, j.state, count(r.id) FILTER (WHERE r.state = 'captured') AS captured
             FROM queue_app_job j LEFT JOIN queue_app_reservation r ON r.job_id = j.id
            WHERE j.state = ANY(%(terminal)s) GROUP BY j.id
           HAVING count(r.id) FILTER (WHERE r.state = 'captured') <> CASE j.state WHEN 'completed' THEN 1 ELSE 0 END
               OR count(r.id) = 0""",
    ),
    Rule(
        "I8",
        "Refunds never exceed the charge. Each has an actor and a reason.",
        """SELECT r.id, r.job_id AS job, r.state, r.amount, sum(e.amount) AS refunded
             FROM queue_app_ledgertransaction t
             JOIN queue_app_ledgerentry e ON e.transaction_id = t.id AND e.side = 'available'
             LEFT JOIN queue_app_reservation r ON r.id = t.reservation_id
            WHERE t.kind = 'refund' GROUP BY r.id
           HAVING r.id IS NULL OR r.state <> 'captured' OR sum(e.amount) > r.amount OR bool_or(t.actor = '' OR t.reason = '')""",
    ),
    Rule(
        "I9",
        "The history tables refuse changes.",
        """SELECT t.name AS id FROM unnest(%(append_only)s) AS t(name)
            WHERE NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = t.name::regclass
                                 AND g.tgname = 'gq_append_only' AND g.tgenabled <> 'D')""",
    ),
    Rule(
        "I9",
        "No event of a job is missing.",
        """SELECT j.id, j.event_seq, count(e.id) AS events
             FROM queue_app_job j LEFT JOIN queue_app_jobevent e ON e.job_id = j.id
            GROUP BY j.id HAVING count(e.id) <> j.event_seq OR min(e.seq) <> 1 OR max(e.seq) <> j.event_seq""",
    ),
    Rule(
        "I10",
        "Every ledger transaction has a key built from its cause.",
        """SELECT id, key, kind, reservation_id AS reservation FROM queue_app_ledgertransaction
            WHERE NOT coalesce(CASE kind
                      WHEN 'reserve' THEN key = 'reserve:' || reservation_id
                      WHEN 'capture' THEN key = 'settle:' || reservation_id
                      WHEN 'release' THEN key = 'settle:' || reservation_id
                      WHEN 'refund' THEN key ~ ('^refund:' || reservation_id || ':[0-9]+$')
                      WHEN 'grant' THEN key ~ '^grant:.' AND reservation_id IS NULL END, false)""",
    ),
    Rule(
        "I11",
        "All entries together sum to 0.",
        "SELECT 'ledger' AS id, sum(amount) AS sum FROM queue_app_ledgerentry HAVING sum(amount) <> 0",
    ),
    Rule(
        "I11",
        "Tickets come only from a grant.",
        """SELECT e.id, t.key, e.amount FROM queue_app_ledgerentry e JOIN queue_app_ledgertransaction t ON t.id = e.transaction_id
            WHERE e.side = 'issued' AND (t.kind <> 'grant' OR e.amount > 0)""",
    ),
    # --- queue ------------------------------------------------------------------------------------------------------
    Rule(
        "I12",
        "At each start, active jobs including the new one are within every limit. Both numbers are in the job's history.",
        """SELECT e.job_id AS id, e.seq, e.data -> 'limits' AS limits FROM queue_app_jobevent e
            WHERE e.to_state = 'submitting' AND e.from_state = 'queued'
              AND (NOT jsonb_exists(e.data, 'limits')
                   OR EXISTS (SELECT 1 FROM jsonb_each(e.data -> 'limits') l
                               WHERE (l.value ->> 0)::integer > (l.value ->> 1)::integer))""",
    ),
    Rule(
        "I14",
        "A job has at most one attempt without an outcome per step. Attempts are numbered 1..n.",
        """SELECT job_id AS id, step, count(*) AS attempts, max(number) AS last, count(*) FILTER (WHERE outcome IS NULL) AS open
             FROM queue_app_attempt GROUP BY 1, 2
           HAVING count(*) <> max(number) OR min(number) <> 1 OR count(DISTINCT number) <> count(*)
               OR count(*) FILTER (WHERE outcome IS NULL) > 1""",
    ),
    Rule(
        "I14",
        "A job's current attempt is its last one.",
        """SELECT j.id, j.attempt_number, coalesce(max(a.number), 0) AS last
             FROM queue_app_job j LEFT JOIN queue_app_attempt a ON a.job_id = j.id AND a.step = 'main'
            GROUP BY j.id HAVING j.attempt_number <> coalesce(max(a.number), 0)""",
    ),
    Rule(
        "I15",
        "A provider task belongs to one attempt.",
        """SELECT min(job_id) AS id, account_id AS account, remote_id AS task, count(*) AS attempts
             FROM queue_app_attempt WHERE remote_id IS NOT NULL GROUP BY account_id, remote_id HAVING count(*) > 1""",
    ),
    Rule(
        "I16",
        "Every attempt that a provider has, or may have, was called at a saved time.",
        f"""SELECT j.id, j.state, a.number AS attempt FROM queue_app_job j {_AT}
            WHERE a.called_at IS NULL AND (a.remote_id IS NOT NULL OR a.accepted_at IS NOT NULL
                  OR j.state IN ('running', 'unknown', 'cancelling', 'storing', 'completed'))""",  # noqa: S608 - constants
    ),
    Rule(
        "I17",
        "An attempt follows only an attempt that ended without a delivery.",
        """SELECT a.job_id AS id, a.step, a.number AS attempt, before.outcome AS outcome_before
             FROM queue_app_attempt a
             JOIN queue_app_attempt before ON before.job_id = a.job_id AND before.step = a.step AND before.number = a.number - 1
            WHERE before.outcome IS NULL OR before.outcome = 'delivered'""",
    ),
    Rule(
        "I17",
        "“Not accepted” after an unknown outcome has two saved proofs, each with a known task or a trusted list.",
        """SELECT a.job_id AS id, a.step, a.number AS attempt, a.lookups_none FROM queue_app_attempt a
            WHERE a.outcome = 'not_accepted' AND a.step = 'main'
              AND EXISTS (SELECT 1 FROM queue_app_jobevent e
                           WHERE e.job_id = a.job_id AND e.attempt = a.number AND e.to_state = 'unknown')
              AND (SELECT count(*) FROM jsonb_array_elements(a.lookups) seen
                    WHERE (seen->>'none')::boolean
                      AND (seen->'proof'->'controls' <> '[]' OR (seen->'proof'->>'trusted')::boolean)) < 2""",
    ),
    Rule(
        "I17",
        "A job at the provider has an attempt without an outcome. Any other job has none.",
        f"""SELECT j.id, j.state, a.number AS attempt, a.outcome FROM queue_app_job j {_AT}
            WHERE (a.outcome IS NULL) <> (j.state = ANY(%(in_flight)s))""",  # noqa: S608 - constants
    ),
    Rule(
        "I19",
        "No job past queued has a lease or next check that is overdue by more than two sweeps.",
        """SELECT id, state, lease_until, next_check_at FROM queue_app_job
            WHERE state = ANY(%(in_flight)s)
              AND coalesce(lease_until, next_check_at, '-infinity') < %(at)s - %(late)s * interval '1 second'""",
    ),
    Rule(
        "I19",
        "Each unknown job has a review item that asks for a decision.",
        """SELECT id, state FROM queue_app_job j WHERE state = 'unknown'
              AND NOT EXISTS (SELECT 1 FROM queue_app_reviewitem r WHERE r.job_id = j.id AND r.closed_at IS NULL
                                AND r.decide_by IS NOT NULL)""",
    ),
    Rule(
        "I20",
        "No job runs past its timeout without a cancel request, or past twice that time, counted from when its task was known.",
        f"""SELECT j.id, j.state, a.accepted_at FROM queue_app_job j {_AT}
            WHERE j.state IN ('running', 'cancelling')
              AND coalesce(a.accepted_at, a.called_at)
                  + CASE j.state WHEN 'running' THEN 1 ELSE 2 END * {_TIMEOUT} * interval '1 second'
                  < %(at)s - %(late)s * interval '1 second'""",  # noqa: S608 - constants
    ),
    Rule(
        "I41",
        "A job's type and its model have the same medium.",
        """SELECT j.id, j.kind_id AS kind, j.model_id AS model
             FROM queue_app_job j
             JOIN queue_app_kind k ON k.key = j.kind_id
             JOIN queue_app_generationmodel m ON m.key = j.model_id
            WHERE k.medium <> m.medium""",
    ),
    Rule(
        "I43",
        "A queued job waits for the start time that its client requested.",
        """SELECT id, client_not_before, not_before FROM queue_app_job
            WHERE state = 'queued' AND client_not_before > %(at)s AND (not_before IS NULL OR not_before < client_not_before)""",
    ),
    Rule(
        "I43",
        "No job is queued two sweeps after its deadline.",
        """SELECT id, deadline FROM queue_app_job
            WHERE state = 'queued' AND deadline < %(at)s - %(late)s * interval '1 second'""",
    ),
    Rule(
        "I44",
        "A job on hold for a ticket budget is looked at again: a budget of its owner holds jobs.",
        """SELECT job.id, job.owner_id AS owner FROM queue_app_job job
            WHERE job.held_for = 'budget'
              AND NOT EXISTS (SELECT 1 FROM queue_app_ticketbudget budget
                                LEFT JOIN queue_app_apikey key ON key.id = budget.key_id
                               WHERE budget.held_since IS NOT NULL
                                 AND (job.owner_id IN (budget.user_id, key.user_id) OR job.batch_id = budget.batch_id))""",
    ),
    # --- history ----------------------------------------------------------------------------------------------------
    Rule(
        "I23",
        "Each state change wrote one event with an actor. Events follow each other, and the last one leads to the job's state.",
        """SELECT job_id AS id, seq, from_state, to_state, after FROM (
               SELECT e.*, coalesce(lag(e.to_state) OVER w, '') AS before, coalesce(lead(e.from_state) OVER w, j.state) AS after
                 FROM queue_app_jobevent e JOIN queue_app_job j ON j.id = e.job_id
               WINDOW w AS (PARTITION BY e.job_id ORDER BY e.seq)) e
            WHERE from_state <> before OR to_state <> after OR actor = ''""",
    ),
    Rule(
        "I24",
        "Only the known transitions happen.",
        """SELECT job_id AS id, seq, from_state, to_state FROM queue_app_jobevent
            WHERE from_state <> to_state AND from_state || '>' || to_state <> ALL(%(moves)s)""",
    ),
    Rule(
        "I25",
        "A finished job leaves its state only by a retry, from failed or cancelled.",
        """SELECT job_id AS id, seq, from_state, to_state FROM queue_app_jobevent
            WHERE from_state = ANY(%(terminal)s) AND to_state <> from_state
              AND NOT (from_state IN ('failed', 'cancelled') AND to_state = 'queued')""",
    ),
    # --- edges ------------------------------------------------------------------------------------------------------
    Rule(
        "I33",
        "Completed means at least one saved asset of the model's medium.",
        """SELECT j.id, m.medium FROM queue_app_job j JOIN queue_app_generationmodel m ON m.key = j.model_id
            WHERE j.state = 'completed'
              AND NOT EXISTS (SELECT 1 FROM queue_app_asset s WHERE s.job_id = j.id AND s.kind = m.medium)""",
    ),
    Rule(
        "I33",
        "An asset has a size, a hash, a type on the allow-list and a generated name.",
        """SELECT id, job_id AS job, kind, content_type, size, name FROM queue_app_asset
            WHERE size <= 0 OR sha256 !~ '^[0-9a-f]{64}$' OR kind || ' ' || content_type <> ALL(%(types)s) OR name !~ %(name)s""",
    ),
]
