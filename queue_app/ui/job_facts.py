"""The facts of one job that its page shows to the owner and to staff, as plain values for a template."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Sum
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from queue_app.insight import remedies, stages, waiting
from queue_app.insight.stages import Stage
from queue_app.lifecycle import STOPS_AFTER_CALL
from queue_app.models import Asset, Attempt, Job, JobEvent, LedgerEntry, LedgerTransaction, Outcome, Reservation, State, Upload
from queue_app.rules import parameters as rules
from queue_app.rules import priority
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.ui import display, holds
from queue_app.work import pipeline, uploads, usual

# status of a stage → its name in the stepper and its glyph
STEPS = {
    "done": ("done", "completed"),
    "now": ("now", "running"),
    "wait": ("todo", ""),
    "bad": ("bad", "failed"),
    "skipped": ("todo", ""),
}
# names too long for a column of the stepper
SHORT = {
    "context building": "Context",
    "component generation": "Components",
    "template assembly": "Assembly",
    "quality validation": "Quality",
}
# first word of a note → its glyph
NOTES = {"priority": "front", "moved": "front", "refunded": "ticket", "cancel": "cancelling", "cleared": "box", "late": "warn"}
MAIN = "main"  # the step of the attempts that are the job's own
LONGEST_EXCERPT, TITLE_MOST = 20_000, 80  # characters
OUTCOMES: dict[str | None, State] = {
    None: State.RUNNING,
    Outcome.DELIVERED: State.COMPLETED,
    Outcome.FAILED: State.FAILED,
    Outcome.CANCELLED: State.CANCELLED,
    Outcome.NOT_ACCEPTED: State.CANCELLED,
    Outcome.LOST: State.UNKNOWN,
    Outcome.ABANDONED: State.FAILED,
}


@dataclass(frozen=True)
class Prompt:
    """A prompt as its page shows it; ``differs``: something in it is bold."""

    text: SafeString
    differs: bool


def facts(job: Job, *, at: datetime, group: str) -> dict[str, Any]:
    """
    Return why the job waits, its stages, attempts, money and history.

    :param group: the word for its batch.
    """
    events = list(job.events.order_by("seq"))
    looked = waiting.outlook([job], at=at)
    eta = looked.eta(job)
    limits = holds.of_job(job, looked, at, group=group)
    on_hold = bool(limits and limits[0].is_pause)
    every = list(job.attempts.select_related("account", "route").order_by("created_at", "number"))
    attempts, calls = ([one for one in every if (one.step == MAIN) == is_main] for is_main in (True, False))
    return {
        "job": job,
        "title": title(job),
        "badge": display.badge("warn", "On hold", "pause") if on_hold else display.badge(job.state),
        "level": display.level(job.priority),
        "facts": ", ".join([job.model_id, job.kind_id, *display.parameters(job)]),
        "position": looked.position(job),
        "lead": holds.lead(job, limits, looked, at, group=group),
        "limits": limits,
        "p50": display.duration(eta.p50_seconds) if eta and eta.p50_seconds is not None else "",
        "p90": display.duration(eta.p90_seconds) if eta and eta.p90_seconds is not None else "",
        "basis": eta.basis if eta else "",
        "stages": _steps(job, stages.stages(job, events, at=at, kept=stages.kept_of([job])[job.pk]), on_hold=on_hold),
        "attempts": [_attempt(job, one, at) for one in attempts],
        "calls": [_call(job, one, at) for one in calls],
        "in_steps": pipeline.of(job.kind_id) is not None,
        "stops": STOPS_AFTER_CALL,
        "next_attempt": _next_attempt(job, at),
        "remedy": remedies.of(job.error_code, attempts[-1].error_kind if attempts else "") if job.error_code else "",
        "assets": sorted(
            job.assets.order_by("number", "kind"), key=lambda file: (-file.version, file.kind not in Asset.MAIN_KINDS)
        ),
        "prompt": prompt(job),
        "inputs": inputs(job),
        "money": money(job),
        "events": [_event(event, at) for event in reversed(events)],
        "priority_name": priority.name(job.base_priority),
        "raised": priority.raised_words(job.raised, job.priority),
        "may_cancel": job.is_open and job.state not in (State.STORING, State.CANCELLING),
        "may_retry": job.state in (State.FAILED, State.CANCELLED),
    }


def title(job: Job) -> str:
    """Return what distinguishes the job: its combination, or the beginning of its prompt."""
    return one_line(job.label) or Truncator(one_line(job.prompt[:500])).chars(TITLE_MOST)


def prompt(job: Job) -> Prompt:
    """Return the prompt with the words of the job's label in bold. A job in stages is told apart by more than its prompt."""
    label = "" if job.kind_id in settings.PIPELINES else job.label
    words = sorted(filter(None, label.split(" · ")), key=len, reverse=True)
    pattern = rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)"
    pieces = re.split(pattern, job.prompt, flags=re.IGNORECASE) if words else [job.prompt]
    return Prompt(display.emphasised((piece, bool(number % 2)) for number, piece in enumerate(pieces)), len(pieces) > 1)


def beside(main: Asset | None, files: Iterable[Asset]) -> list[Asset]:
    """Return the other images of the result that the main one belongs to."""
    if main is None:
        return []
    return [file for file in files if (file.kind, file.version) == (main.kind, main.version) and file.number > main.number]


def inputs(job: Job) -> list[tuple[str, Upload]]:
    """Return the images that a job starts from, each with its role in words."""
    images = job.parameters.get("images")
    if not images:
        return []
    known = uploads.owned(job.owner, rules.images_in(images))
    roles = (("first_frame", "First frame"), ("last_frame", "Last frame"), ("references", "Reference"))
    return [(label, known[one]) for role, label in roles for one in rules.images_in({role: images.get(role)}) if one in known]


def excerpt(file: Asset | None) -> str:
    """Return the beginning of a plain text; empty for other files, and if the file is missing."""
    if file is None or file.content_type != "text/plain" or file.expired_at:
        return ""
    try:
        with default_storage.open(file.name) as stored:
            text: str = stored.read(4 * LONGEST_EXCERPT).decode("utf-8", "ignore")
    except OSError:
        return ""
    return text if len(text) <= LONGEST_EXCERPT else f"{text[:LONGEST_EXCERPT]}…"


def _steps(job: Job, found: Sequence[Stage], *, on_hold: bool) -> list[dict[str, str]]:
    shown = []
    next_up = next((stage for stage in found if stage.status == "wait"), None)
    for stage in found:
        name, icon = STEPS[stage.status]
        time = "" if stage.seconds is None else display.span(stage.seconds)
        if stage == next_up and job.state == State.QUEUED:
            name, icon, time = ("wait", "pause", "on hold") if on_hold else ("wait", "queued", "waiting for a slot")
        elif stage.status == "skipped":
            time = "skipped"
        elif stage.name == "generation" and stage.status == "wait" and job.is_open:
            time = f"usually {display.duration(usual.of(job.model).seconds)}"
        shown.append({"name": SHORT.get(stage.name, stage.name.capitalize()), "class": name, "icon": icon, "time": time})
    return shown


def _attempt(job: Job, attempt: Attempt, at: datetime) -> dict[str, Any]:
    ran = ((attempt.ended_at or at) - attempt.called_at).total_seconds() if attempt.called_at else None
    if attempt.step == MAIN and attempt.number == job.attempt_number and job.ran_seconds is not None:
        ran = job.ran_seconds  # until the provider was done; saving the files is not its time
    word, state = attempt.get_outcome_display() or "running", OUTCOMES[attempt.outcome]
    if not attempt.outcome and not attempt.called_at:
        word, state = "not started", State.QUEUED
    elif not attempt.outcome and not attempt.accepted_at and attempt.error_message:
        word, state = "unknown", State.UNKNOWN
    return {
        "number": attempt.number,
        "badge": display.badge(state, word.capitalize()),
        "error": attempt.error_message,
        "account": attempt.account_id,
        "row": attempt,
        "task": attempt.remote_id or "",
        "started": display.clock_time(attempt.called_at, at) if attempt.called_at else "–",
        "ran": display.span(ran) if ran is not None else "–",
    }


def _call(job: Job, call: Attempt, at: datetime) -> dict[str, Any]:
    """Return a call of a job that makes several (I46): what it was for, and whether it may be billed without a result."""
    return _attempt(job, call, at) | {
        "step": call.step,
        "cost": "–" if call.cost is None else f"${call.cost:.4f}",
        "may_be_billed": call.outcome == Outcome.ABANDONED,
    }


def _next_attempt(job: Job, at: datetime) -> str:
    """Return “Attempt 2 of 4 starts at 14:05:10 or later.” while the job waits for its next attempt; else an empty text."""
    after, most = job.next_attempt_at, job.retries.attempts
    if after is None or after <= at:
        return ""
    of_all = f" of {most}" if job.attempt_number < most else ""
    return f"Attempt {job.attempt_number + 1}{of_all} starts at {display.moment(after, at)} or later."


def money(job: Job) -> dict[str, Any]:
    """Return the price, the tickets of all attempts by what became of them, and the provider's cost in USD."""
    sums = Reservation.objects.filter(job=job).order_by().values_list("state").annotate(Sum("amount"))
    held: dict[str, int] = dict(sums)
    refunds = LedgerTransaction.objects.filter(reservation__job=job, kind=LedgerTransaction.Kind.REFUND)
    given_back = LedgerEntry.objects.filter(transaction__in=refunds, side=LedgerEntry.Side.AVAILABLE)
    return {
        "price": job.tickets,
        "reserved": held.get(Reservation.State.HELD, 0),
        "captured": held.get(Reservation.State.CAPTURED, 0),
        "released": held.get(Reservation.State.RELEASED, 0),
        "refunded": given_back.aggregate(sum=Sum("amount"))["sum"] or 0,
        "usd": job.usd_actual if job.usd_actual is not None else job.usd_estimate,
        "usd_is": "actual" if job.usd_actual is not None else "estimate",
    }


def _event(event: JobEvent, at: datetime) -> dict[str, Any]:
    is_note = event.from_state == event.to_state
    by = f"by {event.actor}"
    # a note that is no change of state is its own title: “Priority set to high”
    what = event.reason[:1].upper() + event.reason[1:] if is_note and event.reason else _what(event, is_note)
    reason = "" if is_note else event.reason
    return {
        "at": display.clock_time(event.at, at),
        "state": event.to_state,
        "icon": NOTES.get(event.reason.partition(" ")[0].rstrip(":").lower(), "more") if is_note else event.to_state,
        "what": what,
        "detail": " · ".join(_said([by, reason, *_evidence(event)])),
    }


def _what(event: JobEvent, is_note: bool) -> str:
    attempt = f"attempt {event.attempt}" if event.attempt else ""
    if event.to_state == State.QUEUED and event.attempt:
        attempt = f"for attempt {event.attempt + 1}"
    what = "Note" if is_note else str(State(event.to_state).label).capitalize()
    return ", ".join(_said([what, attempt]))


def _evidence(event: JobEvent) -> Iterable[str]:
    """Yield the data of an event in words: the counts of a claim, the account, a value before and after."""
    data = event.data
    for name, (used, most) in (data.get("limits") or {}).items():
        yield f"{'job type' if name == 'kind' else name} {used} of {most}"
    if "account" in data:
        yield f"account {data['account']}"
    if "tickets" in data:
        yield f"{counted(data['tickets'], 'ticket')}, {data.get('ledger', '')}"
    if "remote_id" in data:
        yield f"task {data['remote_id']}"
    if isinstance(data.get("before"), int) and event.reason.startswith("priority"):
        yield f"{priority.name(data['before'])} → {priority.name(data['after'])}"


def _said(words: Iterable[str]) -> list[str]:
    return [word for word in words if word]
