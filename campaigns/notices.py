"""
The outbox channel that tells people what concerns them: a notice on their pages, and an email.

`TOPICS` is what each user switches, by way; `_ABOUT` says what each event of the outbox is told as.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.urls import Resolver404, resolve, reverse

from campaigns import actions, breaker, job_names
from campaigns.models import Campaign, Page, Trip
from queue_app import announce, clock
from queue_app.models import Job, Notice, OutboxMessage, OutgoingEvent, ScheduleRun, State, TicketBudget, User, WebhookEndpoint
from queue_app.models.job import TERMINAL_STATES
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.ui import display
from queue_app.work import ticket_budgets

APP, EMAIL = WAYS = ("app", "email")
PROMPT_MOST = 80  # characters
# page → what a link to it is called
_LINKS = {
    "campaigns:page": "Open campaign",
    "campaigns:holds": "Open contact sheet",
    "campaigns:job": "Open job",
    "campaigns:written": "Open page",
    "campaigns:page-batch": "Open pages",
    "campaigns:jobs": "Open jobs",
    "campaigns:schedule": "Open schedule",
    "campaigns:statement": "Open statement",
    "campaigns:webhooks": "Open webhooks",
    "campaigns:keys": "Open API keys",
}


@dataclass(frozen=True)
class Topic:
    """Something that users can be told, and the ways in which they are unless they switch it."""

    label: str
    hint: str
    ways: Sequence[str]


FINISHED, JOB, CLEAR, TICKETS = "batch_ended", "job", announce.QUEUE_CLEAR, "wallet_low"
RESUMED, ENDPOINT, SCHEDULE, HELD = announce.BATCH_RESUMED, announce.ENDPOINT_OFF, announce.SCHEDULE_FAILED, announce.BATCH_HELD
BUDGET = announce.BUDGET_REACHED
TOPICS = {
    FINISHED: Topic("Campaign finished", "Also jobs sent together by API.", WAYS),
    JOB: Topic("Quick generation finished", "Also scheduled jobs. Completed or failed; unread notices are combined.", (APP,)),
    CLEAR: Topic("Queue clear", "All your jobs have finished.", ()),
    RESUMED: Topic("Campaign resumed", "If you asked for it on its page.", WAYS),
    HELD: Topic("Similar videos fail", "The rest of a value is on hold until you decide.", WAYS),
    TICKETS: Topic("Tickets running low", "Fewer are available than the number below.", WAYS),
    BUDGET: Topic("Budget reached", "Jobs wait for a ticket budget of yours, a campaign or an API key.", WAYS),
    SCHEDULE: Topic("Schedule did not run", "A run was refused, or missed.", WAYS),
    ENDPOINT: Topic("Webhook turned off", "By Genqueue after failed deliveries, or by staff.", WAYS),
}


@dataclass(frozen=True)
class Told:
    """What a message is told as: one sentence, the subject of its email, its page, and the jobs that it counts."""

    text: str
    subject: str
    url: str
    jobs: Sequence[int] = ()


@dataclass(frozen=True)
class About:
    """
    How an event is told. ``tell`` writes the words; it gets the jobs that unread notices of the topic count, and returns ``None``
    if what the message is about is gone.
    """

    topic: str
    icon: str
    tell: Callable[[OutboxMessage, Sequence[int]], Told | None]


def wants(user: User, topic: str, way: str) -> bool:
    """Whether a user is told of a topic in this way."""
    switched: bool | None = user.notice_settings.get(topic, {}).get(way)
    return way in TOPICS[topic].ways if switched is None else switched


def is_told(user: User, topic: str) -> bool:
    """Whether a user is told of a topic in any way."""
    return any(wants(user, topic, way) for way in WAYS)


@transaction.atomic
def switch(user: User, wanted: Mapping[str, Sequence[str]]) -> None:
    """Let a user be told of topics in these ways only. What is as by default follows the default when that changes."""
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    locked.notice_settings = {}
    for topic, default in TOPICS.items():
        chosen = {way: way in wanted.get(topic, ()) for way in WAYS}
        if switched := {way: is_on for way, is_on in chosen.items() if is_on != (way in default.ways)}:
            locked.notice_settings[topic] = switched
    locked.save(update_fields=["notice_settings"])


def about(event: str) -> About:
    """Return how an event is told; one that is not known any more, plainly."""
    return _ABOUT.get(event, _PLAIN)


def link_words(url: str) -> str:
    """Return what the link to a notice's page is called."""
    try:
        return _LINKS.get(resolve(urlsplit(url).path).view_name, "Open")
    except Resolver404:
        return "Open"


@transaction.atomic
def deliver(message_id: int) -> None:
    """
    Tell the owner of a message in the ways they want: write the notice, and the email for its own lane, so that no mail server
    delays a notice. A repeated delivery finds both.

    A notice replaces the unread ones about the same: those with its page, or for single jobs all of them.
    """
    message = OutboxMessage.objects.get(pk=message_id)
    how, owner_id = _ABOUT[message.event], message.owner_id
    if owner_id is None:
        return
    # one at a time for each user, so that two jobs that end together are counted in one notice
    user = User.objects.select_for_update(no_key=True).get(pk=owner_id)
    if Notice.objects.filter(key=message.key).exists():
        return
    events = [event for event, other in _ABOUT.items() if other.topic == how.topic]
    unread = Notice.objects.filter(user=user, event__in=events, read_at=None)
    before = [job for jobs in unread.order_by("id").values_list("jobs", flat=True) for job in jobs] if how.topic == JOB else []
    told = how.tell(message, before)
    if told is None:
        return
    at = clock.now()
    if wants(user, how.topic, APP):
        replaced = unread if how.topic == JOB else unread.filter(url=told.url)
        replaced.update(read_at=at, shown=False, jobs=[])
        told_once = {"key": message.key, "event": message.event, "created_at": at}
        Notice.objects.create(user=user, text=told.text[:300], url=told.url, jobs=list(told.jobs), **told_once)
    if user.email and wants(user, how.topic, EMAIL):
        link = f"{link_words(told.url)}: {settings.PUBLIC_URL}{told.url}"
        choose = f"Choose your notices: {settings.PUBLIC_URL}{reverse('campaigns:notices')}"
        announce.email(message, subject=told.subject[:150], body=f"{told.text}\n\n{link}\n\n{choose}\n", at=at)


def _finished(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    batch = message.batch
    if batch is None:
        return None
    campaign = Campaign.objects.filter(pk=batch.pk).first()
    jobs = Job.objects.filter(batch=batch) if campaign is None else actions.counted_jobs(campaign)
    name, page = str(campaign or batch), _page(message)
    noun = "Campaign" if campaign else "Pages" if link_words(page) == _LINKS["campaigns:page-batch"] else "Jobs"
    return Told(f"“{name}” is finished: {_counts(jobs)}.", f"{noun} finished: {name}", page)


def _resumed(message: OutboxMessage, _: Sequence[int]) -> Told:
    name = str(message.batch)
    return Told(f"“{name}” is no longer on hold.", f"No longer on hold: {name}", _page(message))


def _held(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    trip = Trip.objects.select_related("campaign__model").filter(pk=message.payload["trip"]).first()
    if trip is None:
        return None
    medium = trip.campaign.model.medium
    held = counted(trip.held, medium)
    text = (
        f"“{trip.campaign}”: {breaker.sentence(trip.campaign, trip)} {held} with it {'is' if trip.held == 1 else 'are'} on hold."
    )
    return Told(text, f"{medium.capitalize()}s on hold: {trip.campaign}", reverse("campaigns:holds", args=[trip.campaign_id]))


def _page(message: OutboxMessage) -> str:
    """Return the page of a campaign, or of a batch of pages; for another batch, the list of its jobs."""
    if Campaign.objects.filter(pk=message.batch_id).exists():
        return reverse("campaigns:page", args=[message.batch_id])
    if Page.objects.filter(job__batch=message.batch_id).exists():
        return reverse("campaigns:page-batch", args=[message.batch_id])
    return f"{reverse('campaigns:jobs')}?campaign={message.batch_id}"


def _job(message: OutboxMessage, before: Sequence[int]) -> Told | None:
    if message.job is None:
        return None
    jobs = [*dict.fromkeys([*before, message.job.pk])]
    found = Job.objects.filter(pk__in=jobs, state__in=TERMINAL_STATES)
    if len(jobs) > 1:
        text = f"{counted(found.count(), 'job')} finished: {_counts(found)}."
        return Told(text, text.removesuffix("."), reverse("campaigns:jobs"), jobs)
    prompt = one_line(message.job.prompt)
    name = prompt if len(prompt) <= PROMPT_MOST else f"{prompt[:PROMPT_MOST].rstrip()}…"
    verb = "failed" if message.event == OutgoingEvent.JOB_FAILED else "is finished"
    medium = message.job.model.medium
    subject = f"{str(medium).capitalize()} {'failed' if verb == 'failed' else 'finished'}: {name}"
    return Told(f"Your {medium} {verb}: “{name}”", subject, job_names.address(message.job), jobs)


def _clear(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    since, until = (datetime.fromisoformat(message.payload[name]) for name in ("since", "until"))
    jobs = Job.objects.filter(owner=message.owner_id, ended_at__gt=since, ended_at__lte=until)
    text = f"Your queue is clear. Finished since {display.minute(since, until)}: {_counts(jobs)}."
    return Told(text, "Your queue is clear", reverse("campaigns:jobs"))


def _wallet_low(message: OutboxMessage, _: Sequence[int]) -> Told:
    left = counted(message.payload["available"], "ticket")
    return Told(f"Tickets are running low: {left} available.", f"Tickets running low: {left}", reverse("campaigns:statement"))


def _budget_reached(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    budget = TicketBudget.objects.select_related("user", "batch__owner", "key__user").filter(pk=message.payload["budget"]).first()
    if budget is None or budget.lifted:
        return None
    used = message.payload["used"]
    waiting, never = ticket_budgets.waiting(budget, used=used)
    is_daily = budget.period == TicketBudget.Period.DAY
    today = " today" if is_daily else ""
    then = f"until {budget.resets_at:%H:%M}" if is_daily else "until the budget is raised"
    whose = {"user": "", "batch": f" of “{one_line(str(budget.batch))[:100]}”", "key": f" of {budget.scope_name}"}
    text = f"Budget{whose[budget.scope]} reached: {used:,} of {counted(budget.tickets, 'ticket')}{today}."
    if waiting:
        text += f" {counted(waiting, 'job')} {'waits' if waiting == 1 else 'wait'} {then}."
    if never:
        text += f" {counted(never, 'job')} {'costs' if never == 1 else 'cost'} more than the whole budget."
    return Told(text, f"Budget reached: {used:,} of {counted(budget.tickets, 'ticket')}{today}", _page_of_budget(budget))


def _page_of_budget(budget: TicketBudget) -> str:
    """Return where its owner sees it: the campaign, the keys, the jobs."""
    if budget.batch_id and Campaign.objects.filter(pk=budget.batch_id).exists():
        return reverse("campaigns:page", args=[budget.batch_id])
    return reverse("campaigns:keys" if budget.key_id else "campaigns:jobs")


def _endpoint_off(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    endpoint = WebhookEndpoint.objects.filter(pk=message.payload["endpoint"]).first()
    if endpoint is None:
        return None
    name = one_line(str(endpoint))[:150]
    why = endpoint.off_reason  # empty once it is on again
    return Told(
        f"Webhook “{name}” is off. {why}" if why else f"Webhook “{name}” was turned off.",
        f"Webhook turned off: {name}",
        f"{reverse('campaigns:webhooks')}#{endpoint.pk}",
    )


def _schedule_failed(message: OutboxMessage, _: Sequence[int]) -> Told | None:
    run = ScheduleRun.objects.select_related("schedule").filter(pk=message.payload["run"]).first()
    if run is None:
        return None
    name, due = str(run.schedule), display.minute(run.due_at, message.created_at)
    if run.outcome == ScheduleRun.Outcome.MISSED:
        runs = "its run of" if run.occurrences == 1 else f"{run.occurrences:,} runs, the last that of"
        text, subject = f"“{name}” missed {runs} {due}. {run.reason}", f"Schedule missed: {name}"
    else:
        text, subject = f"“{name}” did not run at {due}. {run.reason}", f"Schedule did not run: {name}"
    return Told(text, subject, reverse("campaigns:schedule", args=[run.schedule_id]))


def _counts(jobs: QuerySet[Job]) -> str:
    """Return the number of jobs by status in words; of a campaign as on its page, those of the versions that count."""
    states = (State.COMPLETED, State.FAILED, State.CANCELLED)
    counts = jobs.aggregate(**{state.value: Count("id", filter=Q(state=state)) for state in states})
    words = [f"{counts[state.value]:,} {state.label.lower()}" for state in states if counts[state.value]]
    return ", ".join(words) or "nothing"


_ABOUT = {
    announce.BATCH_ENDED: About(FINISHED, "completed", _finished),
    OutgoingEvent.JOB_COMPLETED: About(JOB, "completed", _job),
    OutgoingEvent.JOB_FAILED: About(JOB, "failed", _job),
    announce.QUEUE_CLEAR: About(CLEAR, "completed", _clear),
    announce.BATCH_RESUMED: About(RESUMED, "play", _resumed),
    announce.BATCH_HELD: About(HELD, "pause", _held),
    OutgoingEvent.WALLET_LOW: About(TICKETS, "ticket", _wallet_low),
    announce.BUDGET_REACHED: About(BUDGET, "pause", _budget_reached),
    announce.SCHEDULE_FAILED: About(SCHEDULE, "warn", _schedule_failed),
    announce.ENDPOINT_OFF: About(ENDPOINT, "warn", _endpoint_off),
}
_PLAIN = About("", "completed", lambda _, __: None)
