"""The banners on top of the dashboard: conditions that staff should know, each with a link to its remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.urls import reverse

from queue_app.admin.alerts import remedy
from queue_app.admin.dashboard import rows, words
from queue_app.insight.snapshot import Snapshot
from queue_app.insight.workers import Machine
from queue_app.models import Alert, ReviewItem, State
from queue_app.ui import display

MOST_ALERTS = 4
NAMED = 4  # models in one note


@dataclass(frozen=True)
class Banner:
    """
    A condition. ``about`` identifies it for as long as it lasts. Users with the permission ``right`` see it. ``resume`` is the
    limit that its button resumes, as (what, key).
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
        """Return the id of its element."""
        return rows.element_id("note", self.about)


def of(now: Snapshot, machines: list[Machine], *, at: datetime) -> list[Banner]:
    """Return the banners, the gravest first; two queries."""
    return [
        *_stopped(now),
        *_no_worker(now, machines),
        *_alerts(at),
        *_reviews(at),
        *_cooling(now, at),
        *_paused(now),
        *_previews(now),
        *_keyless(now),
    ]


def _stopped(now: Snapshot) -> Iterator[Banner]:
    if now.queue.paused:
        text = f"No jobs start. {_wait(now.waiting).capitalize()}; running jobs will finish."
        title, stop = words.is_paused("Queue", now.queue), reverse("admin:stop")
        yield Banner("queue", "", "pause", title, text, "queue_app.view_job", "Details", stop, resume=("queue", ""))


def _no_worker(now: Snapshot, machines: list[Machine]) -> Iterator[Banner]:
    if not any(machine.alive for machine in machines):
        text = f"Jobs can't start or finish until a worker runs. {_wait(now.waiting).capitalize()}."
        yield Banner("workers", "is-failed", "warn", "No workers running.", text, "queue_app.view_job")


def _alerts(at: datetime) -> Iterator[Banner]:
    found = list(Alert.objects.filter(closed_at=None).select_related("rule").order_by("-id")[: MOST_ALERTS + 1])
    for alert in found[:MOST_ALERTS]:
        link, url = remedy(alert)
        text = f"Since {display.moment(alert.opened_at, at)}."
        yield Banner(f"alert {alert.pk}", "is-failed", "warn", alert.words, text, "queue_app.view_alert", link, url)
    if len(found) > MOST_ALERTS:
        url = f"{reverse('admin:queue_app_alert_changelist')}?open=1"
        yield Banner("alerts", "is-failed", "warn", "More open alerts.", "", "queue_app.view_alert", "All alerts", url)


def _reviews(at: datetime) -> Iterator[Banner]:
    jobs = Count("job", distinct=True)
    unknown = Count("job", distinct=True, filter=Q(job__state=State.UNKNOWN, decide_by__isnull=False))
    first = Min("decide_by", filter=Q(job__state=State.UNKNOWN))
    found = ReviewItem.objects.filter(closed_at=None).aggregate(all=jobs, unknown=unknown, first=first)
    count = found["all"]
    if count:
        title = "1 job needs attention." if count == 1 else f"{display.number(count)} jobs need attention."
        text = " ".join([*_undecided(found["unknown"], found["first"], at), *_to_look_at(count - found["unknown"])])
        link, url = "Decide" if found["unknown"] else "Check", reverse("admin:queue_app_reviewitem_changelist")
        yield Banner("reviews", "is-failed", "unknown", title, text, "queue_app.view_reviewitem", link, url)


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


def _cooling(now: Snapshot, at: datetime) -> Iterator[Banner]:
    url = reverse("admin:queue_app_provideraccount_changelist")
    for account in now.accounts.values():
        if account.cooling_until:
            behind = [lane for lane in now.lanes if lane.account and lane.account.key == account.key]
            models = _named([lane.key for lane in behind])
            hit = f"{models}: {_wait(sum(lane.waiting for lane in behind))}" if models else "No models affected"
            title = f"Account {account.key} is cooling down until {display.moment(account.cooling_until, at)}."
            text = f"The provider is overloaded or unreachable. {hit}."
            yield Banner(f"cooling {account.key}", "", "warn", title, text, "queue_app.view_provideraccount", "Account", url)


def _paused(now: Snapshot) -> Iterator[Banner]:
    for account in now.accounts.values():
        if account.paused:
            title, resume = words.is_paused(f"Account {account.key}", account), ("account", account.key)
            text = "No new jobs go to this account."
            yield Banner(f"account {account.key}", "", "pause", title, text, "queue_app.view_job", resume=resume)
    for lane in now.lanes:
        if lane.limit.paused and lane.waiting:
            title, resume = words.is_paused(lane.key, lane.limit), ("model", lane.key)
            text = f"{_wait(lane.waiting).capitalize()}."
            yield Banner(f"model {lane.key}", "", "pause", title, text, "queue_app.view_job", resume=resume)


def _previews(now: Snapshot) -> Iterator[Banner]:
    models = [lane.key for lane in now.lanes if lane.is_preview]
    if models:
        text = f"No API key for {_named(models)}: the studio renders previews."
        title, url = "Previews only.", reverse("admin:queue_app_provideraccount_changelist")
        yield Banner("previews", "is-info", "play", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _keyless(now: Snapshot) -> Iterator[Banner]:
    models = [lane.key for lane in now.lanes if lane.is_keyless]
    if models:
        text = f"No API key for {_named(models)}. Set one, or set ALLOW_STUDIO=1 for previews."
        url = reverse("admin:queue_app_provideraccount_changelist")
        title = "Some models are unavailable."
        yield Banner("keyless", "", "warn", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _named(models: list[str]) -> str:
    return ", ".join(models[:NAMED]) + (f" and {len(models) - NAMED} more" if len(models) > NAMED else "")


def _wait(count: int) -> str:
    return "no jobs waiting" if not count else "1 job waiting" if count == 1 else f"{display.number(count)} jobs waiting"
