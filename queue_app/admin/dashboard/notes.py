"""What calls for somebody, on top of the dashboard: lasting facts, each with the way to its remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.urls import reverse

from queue_app.admin.alerts import remedy
from queue_app.admin.dashboard import rows, words
from queue_app.insight.lanes import Lanes, Limit
from queue_app.insight.workers import Machine
from queue_app.models import Alert, ReviewItem, State
from queue_app.ui import display

MOST_ALERTS = 4
NAMED = 4  # models in one note


@dataclass(frozen=True)
class Note:
    """
    ``about`` is another for every note, and the same for as long as it stands. ``right``: who may follow its link sees it.
    ``resume``: the limit that its button opens again, as (what, key).
    """

    about: str
    kind: str
    icon: str
    title: str
    text: str
    right: str
    link: str = ""
    url: str = ""
    resume: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """The element's."""
        return rows.element_id("note", self.about)


def of(now: Lanes, machines: list[Machine], *, at: datetime) -> list[Note]:
    """In the order of how much hangs on them; two queries."""
    return [
        *_stopped(now),
        *_no_worker(now, machines),
        *_alerts(at),
        *_reviews(at),
        *(_cooling(account, now, at) for account in now.accounts if account.cooling_until),
        *_paused(now),
        *_previews(now),
        *_keyless(now),
    ]


def _stopped(now: Lanes) -> Iterator[Note]:
    if now.queue.paused:
        text = f"No jobs start. {_wait(now.waiting).capitalize()}; running jobs will finish."
        title, stop = words.is_paused("Queue", now.queue), reverse("admin:stop")
        yield Note("queue", "", "pause", title, text, "queue_app.view_job", "Details", stop, resume=("queue", ""))


def _no_worker(now: Lanes, machines: list[Machine]) -> Iterator[Note]:
    if not any(machine.alive for machine in machines):
        text = f"Jobs can't start or finish until a worker runs. {_wait(now.waiting).capitalize()}."
        yield Note("workers", "is-failed", "warn", "No workers running.", text, "queue_app.view_job")


def _alerts(at: datetime) -> Iterator[Note]:
    found = list(Alert.objects.filter(closed_at=None).select_related("rule").order_by("-id")[: MOST_ALERTS + 1])
    for alert in found[:MOST_ALERTS]:
        link, url = remedy(alert)
        text = f"Since {display.moment(alert.opened_at, at)}."
        yield Note(f"alert {alert.pk}", "is-failed", "warn", alert.words, text, "queue_app.view_alert", link, url)
    if len(found) > MOST_ALERTS:
        url = f"{reverse('admin:queue_app_alert_changelist')}?open=1"
        yield Note("alerts", "is-failed", "warn", "More open alerts.", "", "queue_app.view_alert", "All alerts", url)


def _reviews(at: datetime) -> Iterator[Note]:
    jobs = Count("job", distinct=True)
    unknown = Count("job", distinct=True, filter=Q(job__state=State.UNKNOWN, decide_by__isnull=False))
    first = Min("decide_by", filter=Q(job__state=State.UNKNOWN))
    found = ReviewItem.objects.filter(closed_at=None).aggregate(all=jobs, unknown=unknown, first=first)
    count = found["all"]
    if count:
        title = "1 job needs attention." if count == 1 else f"{display.number(count)} jobs need attention."
        text = " ".join([*_undecided(found["unknown"], found["first"], at), *_to_look_at(count - found["unknown"])])
        link, url = "Decide" if found["unknown"] else "Check", reverse("admin:queue_app_reviewitem_changelist")
        yield Note("reviews", "is-failed", "unknown", title, text, "queue_app.view_reviewitem", link, url)


def _undecided(count: int, first: datetime | None, at: datetime) -> Iterator[str]:
    if count:
        jobs = "1 job" if count == 1 else f"{display.number(count)} jobs"
        yield f"{jobs} may or may not have reached the provider. Tickets stay reserved until you decide."
    if count and first:
        fails = "it fails and its" if count == 1 else "the first one fails and its"
        yield f"Decide by {display.moment(first, at)}, or {fails} tickets are returned."


def _to_look_at(count: int) -> Iterator[str]:
    if count:
        yield f"{display.number(count)} may be billed without delivery."


def _cooling(account: Limit, now: Lanes, at: datetime) -> Note:
    assert account.cooling_until is not None
    behind = [lane for lane in now.lanes if lane.account and lane.account.key == account.key]
    models = _named([lane.model for lane in behind])
    hit = f"{models}: {_wait(sum(lane.waiting for lane in behind))}" if models else "No models affected"
    title = f"Account {account.key} is cooling down until {display.moment(account.cooling_until, at)}."
    text = f"The provider is overloaded or unreachable. {hit}."
    url = reverse("admin:queue_app_provideraccount_changelist")
    return Note(f"cooling {account.key}", "", "warn", title, text, "queue_app.view_provideraccount", "Account", url)


def _paused(now: Lanes) -> Iterator[Note]:
    for account in now.accounts:
        if account.paused:
            title = words.is_paused(f"Account {account.key}", account)
            text = "No new jobs go to this account."
            yield Note(f"account {account.key}", "", "pause", title, text, "queue_app.view_job", resume=("account", account.key))
    waiting = [lane for lane in now.lanes if lane.limit.paused and lane.waiting]
    for lane in waiting:
        title = words.is_paused(lane.model, lane.limit)
        text = f"{_wait(lane.waiting).capitalize()}."
        yield Note(f"model {lane.model}", "", "pause", title, text, "queue_app.view_job", resume=("model", lane.model))


def _previews(now: Lanes) -> Iterator[Note]:
    models = [lane.model for lane in now.lanes if lane.available and lane.preview]
    if models:
        text = f"No API key for {_named(models)}: the studio renders previews."
        title, url = "Previews only.", reverse("admin:queue_app_provideraccount_changelist")
        yield Note("previews", "is-info", "play", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _keyless(now: Lanes) -> Iterator[Note]:
    models = [lane.model for lane in now.lanes if lane.keyless]
    if models:
        text = f"No API key for {_named(models)}. Set one, or set ALLOW_STUDIO=1 for previews."
        url = reverse("admin:queue_app_provideraccount_changelist")
        title = "Some models are unavailable."
        yield Note("keyless", "", "warn", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _named(models: list[str]) -> str:
    return ", ".join(models[:NAMED]) + (f" and {len(models) - NAMED} more" if len(models) > NAMED else "")


def _wait(count: int) -> str:
    return "no jobs waiting" if not count else "1 job waiting" if count == 1 else f"{display.number(count)} jobs waiting"
