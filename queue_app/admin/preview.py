"""What a bulk action will do, said before it is done: counts by state and by owner, tickets that move, cost that may follow."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Sum

from queue_app.admin.selection import Selection
from queue_app.models import BulkAction, GenerationModel, State, User, Wallet
from queue_app.models.job import AT_THE_PROVIDER, IN_FLIGHT_STATES, OPEN_STATES, TERMINAL_STATES
from queue_app.rules import priority
from queue_app.ui import display
from queue_app.ui.consequences import BEYOND, WAITING, Line, left_as, of_cancel, of_retry
from queue_app.work import capacity

SHOWN = 200  # jobs listed
MANY = 20_000  # jobs, above which going through all there are is quicker than looking each up
OWNERS = 6  # named, those with the most jobs first
Verb = BulkAction.Verb


@dataclass(frozen=True)
class Note:
    """Something about tickets or money: what stands out, and the rest of the sentence."""

    what: str
    rest: str = ""
    warns: bool = False


@dataclass
class Preview:
    """All that the page of a draft shows. ``acts_on``: how many jobs the verb can be done to as they stand."""

    title: str
    button: str
    keep: str
    lines: list[Line]
    acts_on: int
    notes: list[Note] = field(default_factory=list)
    is_final: bool = False  # it cannot be taken back once done
    asks: str = ""  # the option that it takes: "priority", "tickets", or the "refund" of what cannot be stopped


@transaction.atomic
def look(action: BulkAction, *, at: datetime) -> dict[str, Any]:
    """The context of a draft's page."""
    if action.total > MANY:  # the planner takes every array for a short one, and would look a million jobs up one by one
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_nestloop = off")
    chosen = Selection(action, at=at)
    shown = _LOOKS[Verb(action.verb)](chosen)
    owners = chosen.owners(*State)
    names = dict(User.objects.filter(pk__in=[pk for pk, _ in owners.most_common(OWNERS)]).values_list("pk", "username"))
    return {
        "preview": shown,
        "states": [(state, chosen.count(state)) for state in State if chosen.count(state)],
        "owners": [(names[pk], jobs) for pk, jobs in owners.most_common(OWNERS)],
        "more_owners": max(0, len(owners) - OWNERS),
        "shown": chosen.newest(SHOWN),
        "levels": list(priority.NAMES.items()),
        "total": action.total,
    }


def _cancel(chosen: Selection) -> Preview:
    lines, acts_on = of_cancel(chosen.jobs, chosen.count)
    notes = _tickets_back(chosen, at_once=(State.QUEUED,), later=AT_THE_PROVIDER)
    asks = "refund" if any(line.count and line.what == BEYOND for line in lines) else ""
    return _preview("Cancel {}?", "Cancel {}", "Keep jobs", chosen, lines, acts_on, notes, is_final=True, asks=asks)


def _retry(chosen: Selection) -> Preview:
    offered = capacity.available_models()
    not_offered: Counter[str] = Counter()
    late = 0
    for part in chosen.among(State.FAILED, State.CANCELLED):
        if part.late:
            late += part.jobs
        elif part.model not in offered:
            not_offered[part.model] += part.jobs
    lines, acts_on = of_retry(chosen.count, not_offered, late)
    needed = _price_today(chosen, offered)
    notes = []
    if needed:
        what = f"{_tickets(sum(needed.values()))} will be reserved"
        notes.append(Note(what, f"from {_several(len(needed), 'wallet')}, at today's price. Charged on completion."))
    if short := _short(needed):
        rest = f"{'; '.join(short)}. Lower job numbers go first; the rest are skipped."
        notes.append(Note("Not enough tickets for all:", rest, warns=True))
    return _preview("Retry {}?", "Retry {}", "Don't retry", chosen, lines, acts_on, notes)


def _set_priority(chosen: Selection) -> Preview:
    queued = chosen.count(State.QUEUED)
    levels: Counter[int] = Counter()
    for part in chosen.among(State.QUEUED):
        levels[part.priority] += part.jobs
    now = ", ".join(f"{display.number(levels[level])} {priority.name(level).lower()}" for level in sorted(levels, reverse=True))
    why = f"Now: {now}. Each goes behind older jobs of the same priority."
    lines = [
        Line(queued, "moved to a new position", why, State.QUEUED, "Queued"),
        left_as(chosen.rest(State.QUEUED), "Only queued jobs have a position.", "Not queued"),
    ]
    return _preview("Set the priority of {}?", "Set priority of {}", "Leave as is", chosen, lines, queued, asks="priority")


def _move_to_front(chosen: Selection) -> Preview:
    queued = chosen.count(State.QUEUED)
    lanes: Counter[str] = Counter()
    for part in chosen.among(State.QUEUED):
        lanes[part.model] += part.jobs
    named = ", ".join(f"{display.number(jobs)} of {model}" for model, jobs in lanes.most_common(OWNERS))
    why = f"Ahead of all jobs of the same priority, in their current order: {named}. Other jobs wait longer."
    lines = [
        Line(queued, "moved to the front", why, State.QUEUED, "Queued"),
        left_as(chosen.rest(State.QUEUED), "Only queued jobs have a position.", "Not queued"),
    ]
    return _preview("Move {} to the front?", "Move {} to the front", "Leave as is", chosen, lines, queued)


def _clear(chosen: Selection) -> Preview:
    in_view = sum(part.jobs for part in chosen.among(*TERMINAL_STATES) if part.in_view)
    kept = "They stay in history and the ledger. Find them with the “Cleared” filter."
    lines = [
        Line(in_view, "hidden from the list", kept, State.COMPLETED, "Finished"),
        left_as(chosen.count(*OPEN_STATES), "Not finished yet.", "Unfinished"),
        left_as(chosen.count(*TERMINAL_STATES) - in_view, "Already cleared.", "Cleared"),
    ]
    note = Note("Tickets and files are not affected.")
    return _preview("Clear {}?", "Clear {}", "Keep in list", chosen, lines, in_view, [note])


def _force_fail(chosen: Selection) -> Preview:
    queued, storing = chosen.count(State.QUEUED), chosen.count(State.STORING)
    abandoned = (State.SUBMITTING, State.RUNNING, State.UNKNOWN, State.CANCELLING)
    lost = "We stop tracking them. The provider may still finish and bill them. Each slot stays in use until the job's timeout."
    thrown = "The provider has finished and will bill them. The files are discarded."
    lines = [
        Line(queued, "failed immediately", WAITING, State.QUEUED, "Queued"),
        Line(chosen.count(*abandoned), "abandoned", lost, State.RUNNING, "At the provider"),
        Line(storing, "failed after delivery", thrown, State.STORING, "Saving"),
        left_as(chosen.count(*TERMINAL_STATES), "Already finished.", "Finished"),
    ]
    notes = _tickets_back(chosen, at_once=OPEN_STATES, later=(), billed=IN_FLIGHT_STATES)
    acts_on = chosen.count(*OPEN_STATES)
    title, button = "Force-fail {}?", "Force-fail {}"
    return _preview(title, button, "Keep jobs", chosen, lines, acts_on, notes, is_final=True)


def _refund(chosen: Selection) -> Preview:
    asked = chosen.action.options.get("tickets")
    able = chosen.charged(least=asked or 1)
    found = able.aggregate(jobs=Count("pk"), tickets=Sum("still"), wallets=Count("wallet", distinct=True))
    jobs, back = found["jobs"], found["jobs"] * asked if asked else found["tickets"] or 0
    spent = chosen.count(State.COMPLETED) - jobs
    each = f"{_tickets(asked)} per job" if asked else "The full remaining charge"
    lines = [
        Line(jobs, "refunded", f"{each}. The jobs stay completed and keep their files.", State.COMPLETED, "Completed"),
        left_as(spent, f"Less than {_tickets(asked or 1)} left to refund.", "Refunded"),
        left_as(chosen.rest(State.COMPLETED), "Only completed jobs are charged.", "Not charged"),
    ]
    rest = f"to {_several(found['wallets'], 'wallet')}. The provider still bills us."
    notes = [Note(f"{_tickets(back)} {_are(back)} refunded", rest)] if back else []
    return _preview("Refund {}?", "Refund {}", "Keep charge", chosen, lines, jobs, notes, is_final=True, asks="tickets")


_LOOKS: dict[BulkAction.Verb, Callable[[Selection], Preview]] = {
    Verb.CANCEL: _cancel,
    Verb.RETRY: _retry,
    Verb.PRIORITY: _set_priority,
    Verb.FRONT: _move_to_front,
    Verb.CLEAR: _clear,
    Verb.FORCE_FAIL: _force_fail,
    Verb.REFUND: _refund,
}


def _preview(
    title: str,
    button: str,
    keep: str,
    chosen: Selection,
    lines: list[Line],
    acts_on: int,
    notes: list[Note] | None = None,
    *,
    is_final: bool = False,
    asks: str = "",
) -> Preview:
    return Preview(
        title=title.format(_several(chosen.action.total, "job")),
        button=button.format(_several(acts_on, "job")),
        keep=keep,
        lines=[line for line in lines if line.count],
        acts_on=acts_on,
        notes=notes or [],
        is_final=is_final,
        asks=asks,
    )


def _tickets_back(
    chosen: Selection, *, at_once: tuple[State, ...], later: tuple[State, ...], billed: tuple[State, ...] = ()
) -> list[Note]:
    """Tickets that are returned now and when the provider confirms, and what the provider may still bill us."""
    now, then, usd = chosen.tickets(*at_once), chosen.tickets(*later), chosen.usd(*(billed or later))
    owners = len(chosen.owners(*at_once))
    bill = f"The provider may still bill us about ${usd:,.2f}." if usd else ""
    if now:
        more = f", and up to {display.number(then)} more when the provider confirms" if then else ""
        return [Note(f"{_tickets(now)} {_are(now)} returned", f"to {_several(owners, 'wallet')} now{more}. {bill}".rstrip())]
    if then:
        return [Note(f"Up to {_tickets(then)} {_are(then)} returned", f"when the provider confirms. {bill}".rstrip())]
    return []


def _price_today(chosen: Selection, offered: Mapping[str, GenerationModel]) -> Counter[int]:
    """Tickets that a retry would reserve, by owner, at the prices of this moment."""
    needed: Counter[int] = Counter()
    again = chosen.jobs.in_time(chosen.at).filter(state__in=(State.FAILED, State.CANCELLED), model__in=offered).order_by()
    for owner, model, parameters, jobs in again.values_list("owner", "model", "parameters").annotate(Count("pk")):
        needed[owner] += jobs * offered[model].pricing.tickets_of(parameters)
    return needed


def _short(needed: Counter[int]) -> list[str]:
    """Whose wallet does not hold what a retry needs."""
    wallets = Wallet.objects.filter(owner__in=needed).order_by("owner__username")
    rows = wallets.values_list("owner", "owner__username", "available")
    short = [
        f"{name} has {display.number(left)} of {display.number(needed[owner])}"
        for owner, name, left in rows
        if left < needed[owner]
    ]
    return [*short[:OWNERS], f"{len(short) - OWNERS} others"] if len(short) > OWNERS else short


def _several(count: int, noun: str) -> str:
    return f"{display.number(count)} {noun}{'' if count == 1 else 's'}"


def _tickets(count: int) -> str:
    return _several(count, "ticket")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
