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
        text = f"No job starts; {_wait(now.waiting)}. What runs goes on."
        paused = words.pause(now.queue)
        title = f"The queue is {paused[0].lower()}{paused[1:]}."
        stop = reverse("admin:stop")
        yield Note("queue", "", "pause", title, text, "queue_app.view_job", "What was stopped", stop, resume=("queue", ""))


def _no_worker(now: Lanes, machines: list[Machine]) -> Iterator[Note]:
    if not any(machine.alive for machine in machines):
        text = f"Nothing is started or checked until one runs; {_wait(now.waiting)}."
        yield Note("workers", "is-failed", "warn", "No worker beats.", text, "queue_app.view_job")


def _alerts(at: datetime) -> Iterator[Note]:
    found = list(Alert.objects.filter(closed_at=None).select_related("rule").order_by("-id")[: MOST_ALERTS + 1])
    for alert in found[:MOST_ALERTS]:
        link, url = remedy(alert)
        text = f"Since {display.moment(alert.opened_at, at)}."
        yield Note(f"alert {alert.pk}", "is-failed", "warn", alert.words, text, "queue_app.view_alert", link, url)
    if len(found) > MOST_ALERTS:
        url = f"{reverse('admin:queue_app_alert_changelist')}?open=1"
        yield Note("alerts", "is-failed", "warn", "More alerts are open.", "", "queue_app.view_alert", "All alerts", url)


def _reviews(at: datetime) -> Iterator[Note]:
    jobs = Count("job", distinct=True)
    unknown = Count("job", distinct=True, filter=Q(job__state=State.UNKNOWN, decide_by__isnull=False))
    first = Min("decide_by", filter=Q(job__state=State.UNKNOWN))
    found = ReviewItem.objects.filter(closed_at=None).aggregate(all=jobs, unknown=unknown, first=first)
    count = found["all"]
    if count:
        title = "1 job needs a person." if count == 1 else f"{display.number(count)} jobs need a person."
        text = " ".join([*_undecided(found["unknown"], found["first"], at), *_to_look_at(count - found["unknown"])])
        link, url = "Decide" if found["unknown"] else "Look at it", reverse("admin:queue_app_reviewitem_changelist")
        yield Note("reviews", "is-failed", "unknown", title, text, "queue_app.view_reviewitem", link, url)


def _undecided(count: int, first: datetime | None, at: datetime) -> Iterator[str]:
    if count:
        held = "its tickets stay held" if count == 1 else "their tickets stay held"
        yield f"Nobody but the provider knows what became of {display.number(count)}; {held} until somebody decides."
    if count and first:
        yield f"The first ends by itself at {display.moment(first, at)}, tickets back."


def _to_look_at(count: int) -> Iterator[str]:
    if count:
        yield f"{display.number(count)} may be billed with nothing delivered."


def _cooling(account: Limit, now: Lanes, at: datetime) -> Note:
    assert account.cooling_until is not None
    behind = [lane for lane in now.lanes if lane.account and lane.account.key == account.key]
    models = _named([lane.model for lane in behind]) or "No model is bought there"
    title = f"Account {account.key} cools down until {display.moment(account.cooling_until, at)}."
    text = f"It answered that it has too much to do. {models}: {_wait(sum(lane.waiting for lane in behind))}."
    url = reverse("admin:queue_app_provideraccount_changelist")
    return Note(f"cooling {account.key}", "", "warn", title, text, "queue_app.view_provideraccount", "Account", url)


def _paused(now: Lanes) -> Iterator[Note]:
    for account in now.accounts:
        if account.paused:
            title = f"Account {account.key}: {words.pause(account)}."
            text = "Nothing is bought there meanwhile."
            yield Note(f"account {account.key}", "", "pause", title, text, "queue_app.view_job", resume=("account", account.key))
    waiting = [lane for lane in now.lanes if lane.limit.paused and lane.waiting]
    for lane in waiting:
        title = f"{lane.model}: {words.pause(lane.limit)}."
        text = f"{_wait(lane.waiting).capitalize()}."
        yield Note(f"model {lane.model}", "", "pause", title, text, "queue_app.view_job", resume=("model", lane.model))


def _previews(now: Lanes) -> Iterator[Note]:
    models = [lane.model for lane in now.lanes if lane.available and lane.preview]
    if models:
        text = f"{_named(models)}: no key is set, so their files are previews, not the vendor's."
        title, url = "The studio serves these models.", reverse("admin:queue_app_provideraccount_changelist")
        yield Note("previews", "is-info", "play", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _keyless(now: Lanes) -> Iterator[Note]:
    models = [lane.model for lane in now.lanes if lane.keyless]
    if models:
        text = f"{_named(models)}: no key is set, and ALLOW_STUDIO=1 would be needed for previews by the studio."
        url = reverse("admin:queue_app_provideraccount_changelist")
        title = "Some models cannot be bought."
        yield Note("keyless", "", "warn", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def _named(models: list[str]) -> str:
    return ", ".join(models[:NAMED]) + (f" and {len(models) - NAMED} more" if len(models) > NAMED else "")


def _wait(count: int) -> str:
    return "nothing waits" if not count else "1 job waits" if count == 1 else f"{display.number(count)} jobs wait"
