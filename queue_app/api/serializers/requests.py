"""Bodies and parameters of calls: names and types only. Intake and policy check the values."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from queue_app.api.fields import CalendarDay, Flag, Keyed, Mapped, Moment, Number, Text, Whole, YesNo
from queue_app.api.serializers.base import PageQuery, Query, StrictList, StrictSerializer
from queue_app.live.waits import LONGEST_SECONDS
from queue_app.models import BulkAction, Status
from queue_app.models.budget import MOST as BUDGET_MOST
from queue_app.models.catalog import LIMIT_MESSAGE
from queue_app.models.job import URL_MOST
from queue_app.rules import priority
from queue_app.rules.parameters import LONGEST_URL
from queue_app.work.bulk import verbs
from queue_app.work.bulk.options import ANY
from queue_app.work.intake import BATCH_LIMIT_MOST, BATCH_NAME_MOST, JOBS_MOST, PROMPT_MOST, Draft

PARAMETERS_HELP = (
    "Parameters of the model, see `GET models/`: `duration` (seconds), `aspect_ratio`, `resolution`, `quality`, `audio`, `seed`, "
    "`negative_prompt`, `count` (or `num_images`), `loop`, and `images` `{first_frame, last_frame, references: []}`. Each image "
    "is the id of an upload or a public https URL. `reference_images` `[{url | upload, role}]` is another way to say `images`; "
    "its roles are `first_frame`, `last_frame` and `reference`."
)
AN_UPLOAD = "7c9e6679-7425-40de-944b-e07fc1f90ae7"  # in examples
DELAY_MOST = 300  # seconds
TAGS_MOST, TAG_MOST = 20, 1_000  # keys of the metadata in one search, and characters of a value
BIGGEST_ID = 2**63 - 1
_LIMIT_ERRORS: Any = dict.fromkeys(("min_value", "max_value"), LIMIT_MESSAGE)


@extend_schema_field({"type": "string", "pattern": f"^({'|'.join(Status.values)})(,({'|'.join(Status.values)}))*$"})
class Statuses(serializers.CharField):
    """One or more statuses, separated by commas."""

    def to_internal_value(self, data: Any) -> str:
        wanted = super().to_internal_value(data)
        if not {*wanted.split(",")} <= {*Status.values}:
            raise serializers.ValidationError(f"Send one or more of these, separated by commas: {', '.join(Status.values)}.")
        return wanted


class Priority(Whole):
    """A priority. Intake checks which ones are for staff only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_value=priority.LOWEST,
            max_value=priority.HIGHEST,
            error_messages=dict.fromkeys(("min_value", "max_value"), priority.SPAN_MESSAGE),
            help_text="Higher runs first. Only staff can go above 0.",
            **options,
        )


class CallbackUrl(Text):
    """An address to call. Intake checks it."""

    def __init__(self, at: str) -> None:
        words = f"A public https URL to call {at}, signed with your callback secret."
        super().__init__(most=URL_MOST, required=False, allow_null=True, allow_blank=True, help_text=words)


class JobAsked(StrictSerializer):
    """One job. The queue chooses every field that is missing or null."""

    model = Text(
        least=1,
        most=60,
        required=False,
        allow_null=True,
        help_text="A model key from `GET models/`. Can be left out with a `kind` that only one model makes, such as `page`.",
    )
    prompt = Text(
        least=1,
        most=PROMPT_MOST,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text=f"1 to {PROMPT_MOST} characters. Only pages can do without: their data says what to write.",
    )
    kind = Text(
        least=1,
        most=60,
        required=False,
        allow_null=True,
        help_text="Job type, of the model's medium. Restricted ones need permission. Default: the medium.",
    )
    parameters = Mapped(required=False, allow_null=True, help_text=PARAMETERS_HELP)
    priority = Priority(required=False, allow_null=True)
    deadline = Moment(
        required=False,
        allow_null=True,
        help_text="If the job has not started by then, it fails with `deadline_passed` and its tickets are returned.",
    )
    not_before = Moment(required=False, allow_null=True, help_text="Earliest start, at most one year ahead.")
    callback_url = CallbackUrl("once the job is finished")
    metadata = Mapped(
        required=False, allow_null=True, help_text="Your own data, returned unchanged. What a page is written from."
    )


class BatchAsked(StrictSerializer):
    """1 to 1,000 jobs, all or nothing."""

    jobs = StrictList(child=JobAsked(), min_length=1, max_length=JOBS_MOST)
    name = Text(required=False, allow_null=True, allow_blank=True, max_length=BATCH_NAME_MOST)
    max_concurrent = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BATCH_LIMIT_MOST,
        help_text="Concurrent jobs of this batch. Default: no limit.",
    )
    callback_url = CallbackUrl("once all its jobs are finished")


class RetryAsked(StrictSerializer):
    """What a retry changes. A field that is missing or null stays as it was."""

    may_be_missing = True

    prompt = Text(least=1, most=PROMPT_MOST, required=False, allow_null=True, allow_blank=True, help_text="Another prompt.")
    parameters = Mapped(
        required=False, allow_null=True, help_text="Other parameters, in place of all it has. Defaults fill in the rest."
    )


class JobChange(StrictSerializer):
    """The priority of a queued job."""

    one_of = ("priority",)
    left_out = "Send priority."

    priority = Priority(required=False)


class MoveAsked(StrictSerializer):
    """Where a queued job goes among its owner's jobs of the same model and priority."""

    one_of = ("to", "before")
    left_out = 'Send {"to": "first"} or {"before": the id of another of these jobs}.'

    to = serializers.ChoiceField(choices=["first"], required=False, help_text="Before all of them.")
    before = Whole(required=False, min_value=1, max_value=BIGGEST_ID, help_text="Before this one.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: there is no place, or there are two."""
        if attrs.keys() >= {*self.one_of}:
            raise serializers.ValidationError({"before": ["Send to or before, not both."]})
        return super().validate(attrs)


class UrlAsked(StrictSerializer):
    """An image to fetch."""

    url = Text(least=1, most=LONGEST_URL, help_text="A public https URL of a PNG, JPEG or WebP image of at most 20 MB.")


class FileAsked(StrictSerializer):
    """An image as a file."""

    file: Any = serializers.FileField(
        help_text="A PNG, JPEG or WebP image of at most 20 MB and 25 megapixels, not animated.",
        error_messages={"required": "Send a file.", "invalid": "Send a file.", "empty": "The file is empty."},
    )


class ModelChange(StrictSerializer):
    """A model's limit, its pause, or both."""

    one_of = ("max_concurrent", "paused")
    left_out = "Send max_concurrent (1 to 50), paused (true or false), or both."

    max_concurrent = Whole(required=False, min_value=1, max_value=50, error_messages=_LIMIT_ERRORS)
    paused = YesNo(required=False)
    reason = Text(
        required=False, allow_blank=True, max_length=200, help_text="Reason. Saved with the change and shown while paused."
    )
    until = Moment(required=False, allow_null=True, help_text="A pause ends then. Default: null, until it is resumed.")


class BatchChange(StrictSerializer):
    """Name, limit, budget and priority of a batch."""

    one_of = ("name", "max_concurrent", "budget_tickets", "priority")
    left_out = "Send name, max_concurrent (1 to 50, or null for no limit), budget_tickets, priority, or several of them."

    name = Text(most=BATCH_NAME_MOST, required=False, allow_blank=True)
    max_concurrent = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BATCH_LIMIT_MOST,
        help_text="Concurrent jobs. Null for no limit.",
    )
    budget_tickets = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BUDGET_MOST,
        help_text="Tickets that its jobs may cost together. A higher one releases waiting jobs. Null for no budget.",
    )
    priority = Priority(required=False)


class PauseAsked(StrictSerializer):
    """Why, and until when. Both may be left out."""

    may_be_missing = True

    reason = Text(required=False, allow_blank=True, max_length=200, help_text="Shown to all who wait. Saved with the change.")
    until = Moment(required=False, allow_null=True, help_text="The pause ends then. Default: null, until it is resumed.")


class JobFilters(Query):
    """Which jobs."""

    status = Statuses(required=False, help_text="One or more statuses, separated by commas.")
    model = serializers.CharField(required=False, max_length=60)
    kind = serializers.CharField(required=False, max_length=60)
    campaign = Number(required=False, min_value=1, max_value=BIGGEST_ID, help_text="A campaign or batch id.")
    batch = Number(required=False, min_value=1, max_value=BIGGEST_ID, help_text="A batch or campaign id.")
    search = serializers.CharField(
        required=False, max_length=200, help_text="Words of the prompt or the batch's name, or a job id."
    )
    created_after = Moment(required=False, help_text="Queued at this time or later.")
    created_before = Moment(required=False, help_text="Queued before this time.")
    completed_after = Moment(required=False, help_text="Completed, failed or cancelled at this time or later.")
    completed_before = Moment(required=False, help_text="Completed, failed or cancelled before this time.")
    metadata = Keyed(
        child=serializers.CharField(max_length=TAG_MOST, allow_blank=True, trim_whitespace=False),
        of="metadata keys",
        most=TAGS_MOST,
        such_as="metadata.order=4711",
        required=False,
        help_text="`metadata.KEY=VALUE`: the text VALUE under this key of the metadata, exactly.",
    )


class JobQuery(PageQuery, JobFilters):
    """Filters and order of `GET jobs/`."""

    ordering = serializers.ChoiceField(choices=["-id", "id"], required=False, help_text="`-id`, newest first, or `id`.")


class FilterAsked(JobFilters):
    """Which jobs: the names of `GET jobs/`. An empty object means all."""

    called = "field"

    def to_internal_value(self, data: Any) -> Any:
        """:raises Unreadable: naming every field that is wrong."""
        if isinstance(data, Mapping):  # numbers may be numbers here
            texts = {name: str(one) if isinstance(one, int) and not isinstance(one, bool) else one for name, one in data.items()}
            data = {name: one for name, one in texts.items() if one != "" or not self.may_be_empty(name)}
        return super().to_internal_value(data)


class BulkAsked(StrictSerializer):
    """One action on many jobs."""

    action = serializers.ChoiceField(
        choices=BulkAction.Verb.values, help_text="Other actions than `cancel` and `retry` are for staff with the right."
    )
    filter = FilterAsked()
    dry_run = YesNo(required=False, help_text="Return what the action would do without doing it.")
    delay_seconds = Whole(
        required=False, min_value=0, max_value=DELAY_MOST, help_text="Start later; until then, `abort` undoes it. Default: 0."
    )
    reason = Text(most=300, required=False, allow_blank=True, max_length=300, help_text="Required for `force_fail` and `refund`.")
    priority = Priority(required=False)
    tickets = Whole(required=False, min_value=1, max_value=ANY, help_text="Of `refund`: tickets per job. Default: all.")
    refund = YesNo(required=False, help_text="Of `cancel`: refund jobs that are delivered because they can't be stopped.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: an option is missing or belongs to another action, or a reason is missing."""
        verb = verbs.VERBS[BulkAction.Verb(attrs["action"])]
        own = verb.option.name if verb.option else ""
        wrong: dict[str, Any] = {
            name: [f"{attrs['action']} takes no {name}."]
            for name in ("priority", "tickets", "refund")
            if name in attrs and name != own
        }
        if own == "priority" and own not in attrs:
            wrong["priority"] = ["Choose a priority."]
        if not attrs.get("reason", "").strip() and not attrs.get("dry_run") and (verb.needs_reason or attrs.get("refund")):
            wrong["reason"] = ["Enter a reason. It is saved in the history and the audit."]
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().validate(attrs)


class UsageQuery(Query):
    """Days and grouping of `GET usage/`."""

    from_ = CalendarDay(required=False, help_text="First day. Default: 6 days before `to`.")
    to = CalendarDay(required=False, help_text="Last day. Default: today, in the queue's time zone.")
    by = serializers.ChoiceField(choices=["day", "model"], required=False, help_text="Default: `day`.")
    owner = serializers.CharField(required=False, max_length=150, help_text="Staff only: the usage of this user.")

    def get_fields(self) -> dict[str, Any]:
        """Return the fields by their names in the address: ``from`` can't be a name here."""
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}


class BatchQuery(PageQuery):
    """Filters of `GET batches/`."""

    paused = Flag(required=False)
    done = Flag(required=False, help_text="Whether all jobs are completed, failed or cancelled.")
    search = serializers.CharField(required=False, max_length=200, help_text="Words of the name.")


class DryRun(Query):
    dry_run = Flag(required=False, default=False, help_text="Return the price without creating anything.")


class WaitQuery(Query):
    """How long an answer may wait for a change."""

    wait = Number(
        required=False,
        default=0,
        min_value=0,
        max_value=LONGEST_SECONDS,
        help_text="Seconds to wait for a change. Default: 0, no wait.",
    )
    after = Number(
        required=False,
        min_value=0,
        max_value=BIGGEST_ID,
        help_text="The `seq` that you know: a greater one is a change. Default: that at the start of the request.",
    )


def draft(given: Mapping[str, Any]) -> Draft:
    """Return a checked job as intake takes it. Null counts as left out, and what could not be read is blank."""
    return Draft(**{"model": "", "prompt": "", **{name: value for name, value in given.items() if value is not None}})
