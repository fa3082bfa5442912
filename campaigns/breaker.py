"""The circuit breaker of the matrix: the rest of a value that explains failures is put on hold until a person decides."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from campaigns.models import Campaign, Combination, Trip
from campaigns.rules import breaker
from campaigns.rules.breaker import Cause, Outcome
from campaigns.stages import STAGED, CellStage
from queue_app import announce
from queue_app.insight import remedies
from queue_app.models import Batch, HeldFor, Job, QueueSettings, State
from queue_app.work import holds

LOOKED_BACK = timedelta(minutes=2)  # a failure that no sweep saw for so long is left to the next one
ACTOR = "circuit breaker"


def look(*, at: datetime) -> None:
    """Look at the unfinished campaigns with a failure in the last minutes, and put on hold what fails for a reason."""
    if not QueueSettings.objects.current().matrix_breaker:
        return
    failed = Job.objects.filter(state=State.FAILED, ended_at__gt=at - LOOKED_BACK, batch__origin="campaign", batch__ended_at=None)
    for pk in set(failed.order_by().values_list("batch", flat=True)):
        with transaction.atomic():
            batch = Batch.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
            campaign = Campaign.objects.filter(pk=pk).first()
            if batch is not None and campaign is not None:
                _look_at(campaign, batch, at=at)


def code_words(code: str) -> str:
    """Return an error code as words: “content policy violation”."""
    return code.replace("_", " ") or "failed"


def sentence(campaign: Campaign, trip: Trip) -> str:
    """Return why a value is on hold: “8 of 9 failures have Style = Noir: moderation.”"""
    labels = campaign.labels.get(trip.dimension, {})
    value = labels.get("values", {}).get(trip.value, trip.value)
    which = f"{trip.failures:,} of {trip.of:,}" if trip.of > trip.failures else f"All {trip.of:,}"
    return f"{which} failures have {labels.get('label', trip.dimension)} = {value}: {code_words(trip.code)}."


def _look_at(campaign: Campaign, batch: Batch, *, at: datetime) -> None:
    rows = [CellStage(*row) for row in Combination.objects.filter(campaign=campaign).order_by("index").values_list(*STAGED)]
    known = set(Trip.objects.filter(campaign=campaign).values_list("dimension", "value", "code"))
    for cause in breaker.causes(list(_outcomes(rows)), known=known):
        _trip(campaign, batch, cause, rows, at=at)


def _outcomes(rows: list[CellStage]) -> Iterator[Outcome]:
    """Yield how videos ended, or their stills as long as the videos wait for them. An outage is no outcome of what was asked."""
    for row in rows:
        if row.state == State.COMPLETED or (row.state == State.FAILED and remedies.is_about_the_job(row.code)):
            yield Outcome(row.values, row.code if row.state == State.FAILED else "")


def _trip(campaign: Campaign, batch: Batch, cause: Cause, rows: list[CellStage], *, at: datetime) -> None:
    trip = Trip(
        campaign=campaign,
        dimension=cause.dimension,
        value=cause.value,
        code=cause.code,
        failures=cause.failures,
        of=cause.of,
        held=0,
        at=at,
    )
    words = sentence(campaign, trip)
    waiting = [row.stage for row in rows if row.values.get(cause.dimension) == cause.value and row.state == State.QUEUED]
    trip.held = len(holds.hold(filter(None, waiting), HeldFor.BREAKER, at=at, actor=ACTOR, reason=words))
    if not trip.held:
        return  # nothing of it would still run, so there is nothing to decide
    trip.save()
    cause_key = f"{cause.dimension}={cause.value}:{cause.code}"
    announce.batch_held(batch, cause_key, at=at, trip=trip.pk)
