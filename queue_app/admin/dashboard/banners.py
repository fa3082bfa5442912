"""The banners on top of the dashboard: one for each cause of trouble, the gravest first, each with its remedy."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.admin.utils import quote
from django.db.models import Count, Min
from django.urls import reverse

from queue_app.admin.alerts import remedy
from queue_app.admin.dashboard import rows, words
from queue_app.admin.review import Show
from queue_app.insight import pauses, repeats
from queue_app.insight.pauses import PausedBy
from queue_app.insight.snapshot import Limit, Snapshot
from queue_app.insight.workers import Machine
from queue_app.models import Alert, AlertRule, ReviewItem
from queue_app.rules.limits import Key
from queue_app.rules.numbers import counted
from queue_app.ui import display

MOST_ALERTS = 4
NAMED = 4  # models in one note
FAILED = "is-failed"
DAY = timedelta(hours=24)
Measure = AlertRule.Measure
BACKLOG = (Measure.QUEUE_DEPTH, Measure.OLDEST_WAIT)  # alerts that say nothing new while no job can start


@dataclass(frozen=True)
class Banner:
    """
    A cause of trouble. ``about`` identifies it for as long as it lasts. Users with the permission ``right`` see it. Its remedy is
    the link to ``url``, or for operators a button that resumes the limit ``resume``, as (what, key).

    ``measure`` and ``subject`` are those of an alert; ``explains`` names the alerts that have the same cause, by measure or, of
    one subject, by (measure, subject).
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
    resume_words: str = ""
    measure: str = ""
    subject: str = ""
    explains: Collection[object] = ()

    @property
    def id(self) -> str:
        """Return the id of its element."""
        return rows.element_id("note", self.about)


def of(now: Snapshot, machines: list[Machine], *, at: datetime) -> list[Banner]:
    """Return the banners, the gravest first; four queries, and one more if anything is paused."""
    shut = [now.queue, *now.accounts.values(), *(lane.limit for lane in now.lanes)]
    paused = pauses.by_people((limit.what, limit.key) for limit in shut if limit.paused)
    return [
        *_no_worker(now, machines),
        *_stopped(now, paused, at),
        *_unknown(at),
        *_repeated(at),
        *_alerts(at),
        *_paused_accounts(now, paused, at),
        *_paused_models(now, paused, at),
        *_cooling(now, at),
        *_keyless(now),
    ]


def one_per_cause(banners: Iterable[Banner], may: Callable[[str], bool]) -> list[Banner]:
    """Return the banners that a user may see, without the alerts that another one of them explains."""
    seen = [banner for banner in banners if may(banner.right)]
    explained = {alert for banner in seen for alert in banner.explains}
    return [one for one in seen if not one.measure or not explained & {one.measure, (one.measure, one.subject)}]


def _no_worker(now: Snapshot, machines: list[Machine]) -> Iterator[Banner]:
    if not any(machine.alive for machine in machines):
        text = f"Jobs can't start or finish until a worker runs. {_wait(now.waiting).capitalize()}."
        about = (Measure.WORKER_SILENT, *BACKLOG)
        yield Banner("workers", FAILED, "warn", "No workers running.", text, "queue_app.view_job", explains=about)


def _stopped(now: Snapshot, by: dict[Key, PausedBy], at: datetime) -> Iterator[Banner]:
    if now.queue.paused:
        text = f"No jobs start. {_wait(now.waiting).capitalize()}; running jobs will finish."
        found = _pause("queue", "Queue", "the queue", now.queue, by, text, at)
        yield replace(found, link="Details", url=reverse("admin:stop"), resume_words="Resume queue", explains=BACKLOG)


def _unknown(at: datetime) -> Iterator[Banner]:
    """Yield the banner of unknown outcomes, and that of what is billed without delivery."""
    items = ReviewItem.objects.all()
    unknown = items.undecided().aggregate(jobs=Count("job"), first=Min("decide_by"))
    if jobs := unknown["jobs"]:
        title = f"{counted(jobs, 'job')} may or may not have reached the provider."
        fails = "it fails and its" if jobs == 1 else "the first one fails and its"
        text = f"Decide by {display.moment(unknown['first'], at)}, or {fails} tickets are returned."
        yield _to_decide("unknown", title, text, "Decide", jobs, Show.UNKNOWN, Measure.UNKNOWN_JOBS)
    if jobs := items.to_check().aggregate(jobs=Count("job", distinct=True))["jobs"]:
        title = f"{counted(jobs, 'job')} may be billed without delivery."
        yield _to_decide("unpaid", title, "", "Check", jobs, Show.CHECK, Measure.PAID_NOT_DELIVERED)


def _repeated(at: datetime) -> Iterator[Banner]:
    """Yield the banner of lost calls that were sent again. Nobody has to decide, so it goes after a day."""
    if calls := repeats.by_account(since=at - DAY):
        many = sum(calls.values())
        title = f"{counted(many, 'call')} may be billed twice."
        were = "Its answer was" if many == 1 else "Their answers were"
        text = f"{were} lost in the last 24 hours, and {named([*calls])} may repeat lost calls."
        link, right = "Open account", "queue_app.view_provideraccount"
        url = reverse("admin:queue_app_provideraccount_change", args=[quote(next(iter(calls)))])
        yield Banner("repeated", "", "warn", title, text, right, link, url)


def _to_decide(about: str, title: str, text: str, verb: str, jobs: int, show: Show, measure: Measure) -> Banner:
    url = f"{reverse('admin:queue_app_reviewitem_changelist')}?show={show}"
    link, right = f"{verb} {counted(jobs, 'job')}", "queue_app.view_reviewitem"
    return Banner(about, FAILED, "unknown", title, text, right, link, url, explains=(measure,))


def _alerts(at: datetime) -> Iterator[Banner]:
    """Yield a banner for each rule with open alerts, with the words of the last one."""
    by_rule: dict[str, list[Alert]] = {}
    for alert in Alert.objects.filter(closed_at=None).select_related("rule").order_by("-id"):
        by_rule.setdefault(alert.rule_id, []).append(alert)
    for measure, alerts in list(by_rule.items())[:MOST_ALERTS]:
        last, others = alerts[0], len(alerts) - 1
        link, url = remedy(last)
        text = f"Since {display.moment(last.opened_at, at)}."
        if others:
            text += f" {counted(others, 'more alert')} of this kind."
            link, url = "All alerts", f"{reverse('admin:queue_app_alert_changelist')}?open=1&rule__measure__exact={measure}"
        subject = "" if others else last.subject
        about, right = f"alert {last.pk}", "queue_app.view_alert"
        yield Banner(about, FAILED, "warn", last.words, text, right, link, url, measure=measure, subject=subject)


def _paused_accounts(now: Snapshot, by: dict[Key, PausedBy], at: datetime) -> Iterator[Banner]:
    for key, account in now.accounts.items():
        if account.paused:
            text = f"No new jobs go to this account. {_hit(now, key)}."
            found = _pause(f"account {key}", f"Account {key}", f"account {key}", account, by, text, at)
            yield replace(found, explains=((Measure.BUDGET_SPENT, key),))


def _paused_models(now: Snapshot, by: dict[Key, PausedBy], at: datetime) -> Iterator[Banner]:
    for lane in now.lanes:
        if lane.limit.paused and lane.waiting:
            text = f"{_wait(lane.waiting).capitalize()}."
            yield _pause(f"model {lane.key}", lane.key, lane.key, lane.limit, by, text, at)


def _pause(about: str, first: str, name: str, limit: Limit, by: dict[Key, PausedBy], text: str, at: datetime) -> Banner:
    """Return the banner of a pause; ``first``: its name as the first words of a sentence."""
    who = by.get((limit.what, limit.key))
    title = words.paused_by(name, limit, who, at=at) if who else words.is_paused(first, limit)
    resume = (limit.what, limit.key)
    return Banner(about, "", "pause", title, text, "queue_app.view_job", resume=resume, resume_words=f"Resume {name}")


def _cooling(now: Snapshot, at: datetime) -> Iterator[Banner]:
    for key, account in now.accounts.items():
        if account.cooling_until and not account.paused:
            title = f"Account {key} is cooling down until {display.moment(account.cooling_until, at)}."
            text = f"The provider is overloaded or unreachable. {_hit(now, key)}."
            url = reverse("admin:queue_app_provideraccount_change", args=[quote(key)])
            yield Banner(f"cooling {key}", "", "warn", title, text, "queue_app.view_provideraccount", "Open account", url)


def _keyless(now: Snapshot) -> Iterator[Banner]:
    models = [lane.key for lane in now.lanes if lane.is_keyless]
    if models:
        text = f"No API key for {named(models)}. Set one, or set ALLOW_STUDIO=1 for previews."
        title, url = "Some models are unavailable.", reverse("admin:queue_app_provideraccount_changelist")
        yield Banner("keyless", "", "warn", title, text, "queue_app.view_provideraccount", "Provider accounts", url)


def named(models: list[str]) -> str:
    """Return “flux-2-pro, manim, sora-2, veo-3.1 and 3 more”."""
    return ", ".join(models[:NAMED]) + (f" and {len(models) - NAMED} more" if len(models) > NAMED else "")


def _hit(now: Snapshot, account: str) -> str:
    """Return the models whose next job goes to this account, with their waiting jobs."""
    behind = [lane for lane in now.lanes if lane.account and lane.account.key == account]
    waiting = [lane for lane in behind if lane.waiting]
    if waiting:
        return f"{named([lane.key for lane in waiting])}: {_wait(sum(lane.waiting for lane in waiting))}"
    return f"{counted(len(behind), 'model')} affected, no jobs waiting" if behind else "No models affected"


def _wait(count: int) -> str:
    return f"{counted(count, 'job')} waiting" if count else "no jobs waiting"
