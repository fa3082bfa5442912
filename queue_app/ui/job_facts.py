"""The facts of one job that its page shows to the owner and to staff, as plain values for a template."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import Sum

from queue_app.insight import remedies, stages, waiting
from queue_app.insight.stages import Stage
from queue_app.insight.waiting import Outlook
from queue_app.models import Asset, Attempt, Job, JobEvent, LedgerEntry, LedgerTransaction, Outcome, Reservation, State, Upload
from queue_app.rules import parameters as rules
from queue_app.rules import priority
from queue_app.rules.limits import Blocker
from queue_app.rules.numbers import counted
from queue_app.ui import display
from queue_app.work import uploads
from queue_app.work.capacity import NO_WORKER, keys_of

# status of a stage → its name in the stepper and its glyph
STEPS = {"done": ("done", "completed"), "now": ("now", "running"), "wait": ("todo", ""), "bad": ("bad", "failed")}
SHORT = {"post-processing": "Post\N{NON-BREAKING HYPHEN}process"}  # names too long for a column of the stepper
# first word of a note → its glyph
NOTES = {"priority": "front", "moved": "front", "refunded": "ticket", "cancel": "cancelling", "cleared": "box", "late": "warn"}
OPENS = {
    "not available": "a provider is available",
    NO_WORKER: "a worker runs",
}  # reason of `capacity` → what ends it; any other reason is a pause
LONGEST_EXCERPT = 20_000  # characters
OUTCOMES: dict[str | None, State] = {
    None: State.RUNNING,
    Outcome.DELIVERED: State.COMPLETED,
    Outcome.FAILED: State.FAILED,
    Outcome.CANCELLED: State.CANCELLED,
    Outcome.NOT_ACCEPTED: State.CANCELLED,
    Outcome.LOST: State.UNKNOWN,
    Outcome.ABANDONED: State.FAILED,
}


def facts(job: Job, *, at: datetime) -> dict[str, Any]:
    """Return why the job waits, its stages, attempts, money and history."""
    events = list(job.events.order_by("seq"))
    looked = waiting.outlook([job], at=at)
    eta = looked.eta(job)
    attempts = list(job.attempts.select_related("account", "route").order_by("number"))
    return {
        "job": job,
        "title": f"Job {display.number(job.pk)}",
        "badge": display.badge(job.state),
        "level": display.level(job.priority),
        "facts": display.chips([job.model_id, job.kind_id, *display.parameters(job)]),
        "position": looked.position(job),
        "sentence": looked.sentence(job),
        "limits": _limits(job, looked, at),
        "p50": display.duration(eta.p50_seconds) if eta and eta.p50_seconds is not None else "",
        "p90": display.duration(eta.p90_seconds) if eta and eta.p90_seconds is not None else "",
        "basis": eta.basis if eta else "",
        "stages": _steps(job, stages.stages(job, events, at=at)),
        "attempts": [_attempt(job, one, at) for one in attempts],
        "remedy": remedies.of(job.error_code, attempts[-1].error_kind if attempts else "") if job.error_code else "",
        "assets": list(job.assets.order_by("-version", "number", "kind")),
        "inputs": inputs(job),
        "money": money(job),
        "events": [_event(event, at) for event in reversed(events)],
        "priority_name": priority.name(job.priority),
        "may_cancel": job.is_open and job.state not in (State.STORING, State.CANCELLING),
        "may_retry": job.state in (State.FAILED, State.CANCELLED),
    }


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


def _limits(job: Job, looked: Outlook, at: datetime) -> list[dict[str, Any]]:
    """Return every limit that applies to a queued job, whether it holds the job or not, the widest first."""
    if looked.capacity is None:
        return []
    capacity = looked.capacity
    routes = capacity.routes.get(job.model_id, [])
    route = capacity.route_for(job.model_id) or next(iter(routes), None)
    keys = keys_of(route, model=job.model_id, kind=job.kind_id, batch=job.batch_id, owner=job.owner_id)
    holding = {(one.limit, one.key): one for one in looked.waiting_on(job)}
    shown = []
    for key in keys:
        cap, blocker = capacity.room.caps.get(key), holding.get(key)
        if cap is None and blocker is None:
            continue
        used = capacity.room.used[key]
        closed = blocker is not None and not blocker.max
        name = display.limit_name(*key)
        shown.append(
            {
                "name": name[0].upper() + name[1:] if key[0] != "model" else f"Model {name}",
                "why": blocker.reason if blocker else "",
                "holds": blocker is not None,
                "bar": display.capacity(used, cap, held=closed) if cap else "–",
                "until": _until(blocker, at),
            }
        )
    return shown


def _until(blocker: Blocker | None, at: datetime) -> str:
    if blocker is None:
        return "not blocking"
    if blocker.until:
        return display.clock_time(blocker.until, at)
    return "a slot frees up" if blocker.max else OPENS.get(blocker.reason, "it is resumed")


def _steps(job: Job, found: Sequence[Stage]) -> list[dict[str, str]]:
    shown = []
    for stage in found:
        name, icon = STEPS[stage.status]
        time = display.span(stage.seconds) if stage.seconds else ""
        if stage.name == "submission" and stage.status == "wait" and job.state == State.QUEUED:
            name, icon, time = "wait", "queued", "waiting for a slot"
        elif stage.name == "generation" and stage.status == "wait" and job.is_open:
            time = f"usually {display.duration(job.model.typical_seconds)}"
        shown.append({"name": SHORT.get(stage.name, stage.name.capitalize()), "class": name, "icon": icon, "time": time})
    return shown


def _attempt(job: Job, attempt: Attempt, at: datetime) -> dict[str, Any]:
    ran = ((attempt.ended_at or at) - attempt.called_at).total_seconds() if attempt.called_at else None
    if attempt.number == job.attempt_number and job.ran_seconds is not None:
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
