"""What the API takes: shapes and types only; what a value may be is the business of intake and policy."""

from typing import Any

from rest_framework import serializers

from queue_app.api.reading import Mapped, Moment, StrictSerializer, Text, Whole, YesNo
from queue_app.models import Status
from queue_app.models.catalog import LIMIT_MESSAGE
from queue_app.work.intake import JOBS_MOST, PROMPT_MOST, Draft

BIGGEST_ID = 2**63 - 1
_LIMIT_ERRORS: Any = dict.fromkeys(("min_value", "max_value"), LIMIT_MESSAGE)


class JobAsked(StrictSerializer):
    """One job. What is left out or null is the queue's choice."""

    model = Text(help_text="A key of `GET models/`.")
    prompt = Text(allow_blank=True, help_text=f"1 to {PROMPT_MOST} characters.")
    kind = Text(
        required=False, allow_null=True, help_text="Of the model's medium; restricted kinds need a right. Default: the medium."
    )
    parameters = Mapped(required=False, allow_null=True, help_text="What the model offers; see `GET models/`.")
    priority = Whole(required=False, allow_null=True, help_text="Larger first; only staff may exceed 0.")
    deadline = Moment(
        required=False,
        allow_null=True,
        help_text="A job not started by then fails with `deadline_passed`; its tickets are returned.",
    )
    not_before = Moment(required=False, allow_null=True, help_text="It waits until then; at most a year ahead.")
    metadata = Mapped(required=False, allow_null=True, help_text="Yours; kept and given back. Pages are scored by it.")


class BatchAsked(StrictSerializer):
    """1 to 1,000 jobs, taken in all or not at all."""

    jobs = JobAsked(many=True)
    name = Text(required=False, allow_null=True, allow_blank=True, max_length=200)

    def to_internal_value(self, data: Any) -> Any:
        jobs = data.get("jobs") if isinstance(data, dict) else None
        if isinstance(jobs, list) and not 1 <= len(jobs) <= JOBS_MOST:
            raise serializers.ValidationError({"jobs": [f"Send 1 to {JOBS_MOST} jobs at once, not {len(jobs)}."]})
        return super().to_internal_value(data)


class ModelChange(StrictSerializer):
    """A model's limit and pause; at least one of them."""

    max_concurrent = Whole(required=False, min_value=1, max_value=50, error_messages=_LIMIT_ERRORS)
    paused = YesNo(required=False)
    reason = Text(required=False, allow_blank=True, max_length=200, help_text="Why; kept with the change and shown while paused.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not {"max_concurrent", "paused"} & attrs.keys():
            raise serializers.ValidationError("Send max_concurrent (1 to 50), paused (true or false), or both.")
        return attrs


class JobQuery(serializers.Serializer[Any]):
    """How `GET jobs/` may be narrowed."""

    status = serializers.ChoiceField(choices=Status.choices, required=False)
    model = serializers.CharField(required=False, max_length=60)
    kind = serializers.CharField(required=False, max_length=60)
    campaign = serializers.IntegerField(
        required=False, min_value=1, max_value=BIGGEST_ID, help_text="A campaign's or batch's id."
    )
    search = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Words of the prompt, or a job's id.",
    )


class DryRun(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only price it; nothing is written.")


def draft(given: dict[str, Any]) -> Draft:
    """A checked job as intake takes it; null is as good as left out."""
    return Draft(**{name: value for name, value in given.items() if value is not None})
