"""
Filters of the job list. An unknown value lists no jobs and is reported; it never lists all.

Each looks its choices up by an index, so that they cost the same however many jobs there are.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from queue_app import clock
from queue_app.insight import waiting
from queue_app.models import Batch, GenerationModel, Job, Kind, ReviewItem, State, Status, User
from queue_app.models.job import OPEN_STATES, STATES_OF_STATUS, TERMINAL_STATES
from queue_app.rules import numbers, priority
from queue_app.rules.words import is_storable

LATEST = 15  # campaigns and owners offered for choice
TAB, PILL, MORE = "tab", "pill", "more"  # where a filter is set: in a tab, in a menu of its own, or in that of all others
ON_HOLD = "on_hold"
TYPED = "admin/queue_app/job/filter_typed.html"
# one step through the index of errors for each code
_ERROR_CODES = """
    WITH RECURSIVE code AS (
        (SELECT error_code FROM queue_app_job WHERE error_code <> '' ORDER BY error_code LIMIT 1)
        UNION ALL
        SELECT (SELECT error_code FROM queue_app_job WHERE error_code <> '' AND error_code > code.error_code
                 ORDER BY error_code LIMIT 1)
          FROM code WHERE code.error_code IS NOT NULL
    ) SELECT error_code FROM code WHERE error_code IS NOT NULL LIMIT 40
"""


class JobFilter(admin.SimpleListFilter):
    """A filter: its choices, and the jobs that match one."""

    nothing = "All"  # words for no value
    place = MORE

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        """Return the values to choose from, with their words."""
        raise NotImplementedError

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        raise NotImplementedError

    def unasked(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs listed without a value."""
        return jobs

    def knows(self, value: str) -> bool:
        return value in dict(self.lookup_choices)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.options(request).items())

    def has_output(self) -> bool:
        return True

    @property
    def problem(self) -> str:
        """Return what is wrong with the requested value; empty if nothing is."""
        value = self.value()
        return f"Unknown {self.title} “{value[:60]}”." if value and not self.knows(value) else ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        value = self.value()
        if not value:
            return self.unasked(queryset)
        return self.narrow(queryset, value) if self.knows(value) else queryset.none()

    @property
    def offered(self) -> list[tuple[str, str]]:
        """Return the values to choose from, with their words; also the requested one, whatever it is."""
        value, known = self.value(), {name: str(words) for name, words in self.lookup_choices}
        return list(({value: value, **known} if value and value not in known else known).items())

    def choices(self, changelist: Any) -> Iterator[Any]:
        value, name = self.value(), self.parameter_name
        yield {"selected": not value, "query_string": changelist.get_query_string(remove=[name]), "display": self.nothing}
        for one, words in self.offered:
            yield {"selected": value == one, "query_string": changelist.get_query_string({name: one}), "display": words}


class TypedFilter(JobFilter):
    """A filter with more values than fit a menu: the latest are offered, and any can be typed."""

    template = TYPED
    place = PILL
    asks_for = ""  # the label of its field

    def choices(self, changelist: Any) -> Iterator[Any]:
        self.others = [
            (key, one) for key, values in changelist.filter_params.items() for one in values if key != self.parameter_name
        ]
        return super().choices(changelist)


class StatusFilter(JobFilter):
    """The statuses that people see, two that sum them up, and jobs on hold. The tabs are their only place."""

    title, parameter_name, place = "status", "status", TAB
    sums = {"unfinished": OPEN_STATES, "finished": TERMINAL_STATES}

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        statuses = {status.value: str(status.label) for status in Status}
        return {**statuses, **{name: name.capitalize() for name in self.sums}, ON_HOLD: "On hold"}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        if value == ON_HOLD:
            of_a_batch = Q(held=True, batch__in=Batch.objects.filter(paused=True))
            return jobs.filter(of_a_batch | Q(model__in=waiting.models_on_hold(at=clock.now())), state=State.QUEUED)
        return jobs.filter(state__in=(self.sums | STATES_OF_STATUS)[value])


class StateFilter(JobFilter):
    title, parameter_name = "exact state", "state"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {state.value: str(state.label).capitalize() for state in State}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(state=value)


class ModelFilter(JobFilter):
    title, parameter_name, place = "model", "model", PILL

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {key: key for key in GenerationModel.objects.order_by("key").values_list("key", flat=True)}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(model=value)


class KindFilter(JobFilter):
    title, parameter_name = "job type", "kind"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {key: key for key in Kind.objects.order_by("key").values_list("key", flat=True)}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(kind=value)


class PriorityFilter(JobFilter):
    title, parameter_name = "priority", "priority"
    spans = {
        "urgent": Q(priority__gte=priority.URGENT),
        "high": Q(priority__gt=priority.NORMAL, priority__lt=priority.URGENT),
        "normal": Q(priority=priority.NORMAL),
        "low": Q(priority__lt=priority.NORMAL),
    }

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {key: key.capitalize() for key in self.spans}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(self.spans[value])


class ErrorFilter(JobFilter):
    title, parameter_name = "error", "error"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        with connection.cursor() as cursor:
            cursor.execute(_ERROR_CODES)
            return {code: code for (code,) in cursor.fetchall()}

    def knows(self, value: str) -> bool:
        return super().knows(value) or (is_storable(value) and Job.objects.filter(error_code=value).exists())

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(error_code=value)


class CampaignFilter(TypedFilter):
    title, parameter_name, asks_for = "campaign", "campaign", "Campaign number"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {str(batch.pk): str(batch)[:60] for batch in Batch.objects.order_by("-pk")[:LATEST]}

    def knows(self, value: str) -> bool:
        return super().knows(value) or Batch.objects.filter(pk=numbers.of_row(value)).exists()

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(batch=int(value))


class UserFilter(TypedFilter):
    title, parameter_name, asks_for = "owner", "user", "Username"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        lately = Job.objects.order_by("-pk").values("owner")[:200]
        names = User.objects.filter(pk__in=lately).order_by("username").values_list("username", flat=True)[:LATEST]
        me = request.user.get_username()
        return {me: f"You ({me})", **{name: name for name in names if name != me}}

    def knows(self, value: str) -> bool:
        return super().knows(value) or (is_storable(value) and User.objects.filter(username=value).exists())

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(owner__in=User.objects.filter(username=value))


class AgeFilter(JobFilter):
    """Time since the job was last queued."""

    title, parameter_name, nothing, place = "age", "age", "Any", PILL
    ages = {"10m": ("10m", timedelta(minutes=10)), "1h": ("1h", timedelta(hours=1)), "1d": ("1d", timedelta(days=1))}

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        older = {f"over-{key}": f"Older than {words}" for key, (words, _) in self.ages.items()}
        return {**older, **{f"under-{key}": f"Newer than {words}" for key, (words, _) in self.ages.items()}}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        side, _, key = value.partition("-")
        moment = clock.now() - self.ages[key][1]
        return jobs.filter(queued_at__lte=moment) if side == "over" else jobs.filter(queued_at__gt=moment)


class ClearedFilter(JobFilter):
    """Cleared jobs are hidden unless requested."""

    title, parameter_name, nothing = "cleared", "cleared", "Hidden"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {"only": "Only cleared", "with": "Included"}

    def unasked(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        return jobs.filter(archived_at=None)

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(archived_at__isnull=False) if value == "only" else jobs


class EndedFilter(JobFilter):
    """Finished in the last 24 hours: with cleared jobs hidden, exactly the jobs that the dashboard counts."""

    title, parameter_name, nothing = "finished", "ended", "Any time"

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {"24h": "Last 24 hours"}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(ended_at__gt=clock.now() - timedelta(hours=24))


class ReviewFilter(JobFilter):
    """Jobs that need attention; used by a tab."""

    title, parameter_name, place = "needs attention", "review", TAB

    def options(self, request: HttpRequest) -> Mapping[str, str]:
        return {"open": "Open"}

    def narrow(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        return jobs.filter(pk__in=ReviewItem.objects.filter(closed_at=None).values("job"))


# in their order on the page
FILTERS = (
    StatusFilter,
    ReviewFilter,
    ModelFilter,
    CampaignFilter,
    UserFilter,
    AgeFilter,
    KindFilter,
    StateFilter,
    ErrorFilter,
    PriorityFilter,
    EndedFilter,
    ClearedFilter,
)


def words(asked: Mapping[str, Any]) -> str:
    """Describe the filters of a list: “all jobs with status failed, error timeout, text “heron””."""
    said = [f"{one.title} {asked[one.parameter_name]}" for one in FILTERS if asked.get(str(one.parameter_name))]
    if asked.get("q"):
        said.append(f"text “{asked['q']}”")
    return f"all jobs with {', '.join(said)}" if said else "all jobs in the list"
