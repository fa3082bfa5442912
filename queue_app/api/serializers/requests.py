"""Bodies and parameters of calls: names and types only. Intake and policy check the values."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from queue_app.api.fields import Flag, Mapped, Moment, Number, Text, Whole, YesNo
from queue_app.api.serializers.base import PageQuery, Query, StrictList, StrictSerializer
from queue_app.models import Status
from queue_app.models.catalog import LIMIT_MESSAGE
from queue_app.models.job import URL_MOST
from queue_app.rules import priority
from queue_app.rules.parameters import LONGEST_URL
from queue_app.work.intake import BATCH_LIMIT_MOST, BATCH_NAME_MOST, JOBS_MOST, PROMPT_MOST, Draft

PARAMETERS_HELP = (
    "Parameters of the model, see `GET models/`: `duration` (seconds), `aspect_ratio`, `resolution`, `quality`, `audio`, `seed`, "
    "`negative_prompt`, `count` (or `num_images`), `loop`, and `images` `{first_frame, last_frame, references: []}`. Each image "
    "is the id of an upload or a public https URL. `reference_images` `[{url | upload, role}]` is another way to say `images`; "
    "its roles are `first_frame`, `last_frame` and `reference`."
)
AN_UPLOAD = "7c9e6679-7425-40de-944b-e07fc1f90ae7"  # in examples
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

    model = Text(least=1, most=60, help_text="A model key from `GET models/`.")
    prompt = Text(least=1, most=PROMPT_MOST, allow_blank=True, help_text=f"1 to {PROMPT_MOST} characters.")
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
    callback_url = CallbackUrl("once the job has ended")
    metadata = Mapped(required=False, allow_null=True, help_text="Your own data, returned unchanged. Pages are scored by it.")


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
    callback_url = CallbackUrl("once all its jobs have ended")


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


class JobQuery(PageQuery):
    """Filters of `GET jobs/`."""

    status = Statuses(required=False, help_text="One or more statuses, separated by commas.")
    model = serializers.CharField(required=False, max_length=60)
    kind = serializers.CharField(required=False, max_length=60)
    campaign = Number(required=False, min_value=1, max_value=BIGGEST_ID, help_text="A campaign or batch id.")
    batch = Number(required=False, min_value=1, max_value=BIGGEST_ID, help_text="A batch or campaign id.")
    search = serializers.CharField(required=False, max_length=200, help_text="Text in the prompt, or a job id.")
    created_after = Moment(required=False, help_text="Queued at this time or later.")
    created_before = Moment(required=False, help_text="Queued before this time.")
    completed_after = Moment(required=False, help_text="Completed, failed or cancelled at this time or later.")
    completed_before = Moment(required=False, help_text="Completed, failed or cancelled before this time.")


class DryRun(Query):
    dry_run = Flag(required=False, default=False, help_text="Return the price without creating anything.")


def draft(given: Mapping[str, Any]) -> Draft:
    """Return a checked job as intake takes it. Null counts as left out, and what could not be read is blank."""
    return Draft(**{"model": "", "prompt": "", **{name: value for name, value in given.items() if value is not None}})
