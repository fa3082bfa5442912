"""
Storing: download a provider's result, check it, save it, and only then charge for it.

No transaction is open while files move: a short one at the end writes the rows and captures the tickets. A crash before that
leaves objects without a row, which `remove_orphans` deletes. We always make the stills ourselves, so that they look the same for
every provider: the review page's scrubber expects ten frames in one row.
"""

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from queue_app import clock, database, http, lifecycle
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Asset, Attempt, Job, Outcome, ReviewItem, State, Upload
from queue_app.providers.base import ErrorKind, PollResult, Provider, ProviderError, RemoteAsset, RemoteRef, TaskState
from queue_app.rules import backoff
from queue_app.work import accounts, answers, disk, media, pipeline

log = logging.getLogger(__name__)
FOLDER, UPLOADS = "assets", "uploads"
# folder of the storage → rows of its files; a still that a video starts from is an upload, too
ROWS_OF: Mapping[str, Sequence[QuerySet[Any]]] = {
    FOLDER: (Asset.objects.kept(), Upload.objects.all()),
    UPLOADS: (Upload.objects.all(),),
}
DOWNLOADS = backoff.Retries(3, "exponential")  # of a file that is wrong, gone or too slow
KEPT_UNLESS_TOLD, KEPT_AT_MOST = timedelta(hours=24), timedelta(days=30)  # how long a provider keeps files, from its end on
ORPHAN_AGE = timedelta(hours=24)
LOOKED_UP_AT_ONCE = 1_000
TOO_SLOW, NOT_READY = "too_slow", "not_ready"
NOT_READY_SECONDS = 600  # after "completed", a file that is not ready yet is tried often for so long
_ACCOUNT_TROUBLE = (ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.QUOTA)


def store(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """
    Store the files of a job that is done at the provider and complete it (T19); else schedule another try or fail it (T20).
    Return no leases.

    If the lease is outdated by then, the files are removed again. A connection that is cut during the download does no harm: the
    rows are written over a new one.
    """
    stages = Stages()
    try:
        with disk.workroom() as room:
            pieces = _pieces(job, attempt, lease, room, stages)
            with stages.timed("storage"):
                assets, saved = _store_all(pieces, attempt)
        cost = _cost(job, attempt)
        is_delivered = database.again(
            lambda: _complete(lease, assets, saved, stages, cost, at=clock.now()), look=lambda: _is_written(assets)
        )
    except pipeline.Stopped:
        return []
    except (ProviderError, media.NotUsable, OSError) as problem:
        _settle_failure(attempt, lease, problem, at=database.again(clock.now))
        return []
    if not is_delivered:
        log.info("job %s: the lease ended before its files were stored; removing them", job.pk)
        disk.delete(saved)
    elif attempt.synchronous:
        answers.drop(attempt)
    return []


def remove_orphans(at: datetime) -> int:
    """
    Remove stored objects without a row, temporary directories, and the answers of ended attempts, all older than 24 hours; return
    their number (I34).
    """
    before = at - ORPHAN_AGE
    removed = 0
    for folder, rows in ROWS_OF.items():
        stored = disk.names_in(folder)
        while names := list(islice(stored, LOOKED_UP_AT_ONCE)):
            named = {name for found in rows for name in found.filter(name__in=names).values_list("name", flat=True)}
            orphans = [name for name in names if name not in named and disk.is_older(name, before)]
            disk.delete(orphans)
            removed += len(orphans)
    return removed + disk.remove_workrooms(before) + answers.remove_old(before)


class Stages:
    """The timed stages of storing, for the job's history."""

    def __init__(self) -> None:
        self._done: list[tuple[str, float, float]] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._done.append((name, began, time.monotonic() - began))

    def seconds(self, name: str) -> float:
        """Return how long a stage took; 0 if it did not run."""
        return sum(seconds for done, _, seconds in self._done if done == name)

    def as_data(self, *, at: datetime) -> list[dict[str, Any]]:
        """Return name, start and seconds of each stage; ``at`` is the current time."""
        now = time.monotonic()
        return [
            {"name": name, "started_at": (at - timedelta(seconds=now - began)).isoformat(), "seconds": round(seconds, 3)}
            for name, began, seconds in self._done
        ]


def _pieces(job: Job, attempt: Attempt, lease: Lease, room: Path, stages: Stages) -> list[list[media.Piece]]:
    """Return the checked files of a job, by delivered file: downloaded from the provider, or made by the job's own stages."""
    if job.kind_id in settings.PIPELINES:
        made = pipeline.files(job, attempt, lease, room)
        return [[media.check_made(kind, path, content_type) for kind, content_type, path in made]]
    with stages.timed("download"):
        delivered = _download(job, attempt, room)
    with stages.timed("post-processing"):
        return [media.examine(job.model.medium, path, path.parent) for path in delivered]


# --- download -------------------------------------------------------------------------------------------------------


def _download(job: Job, attempt: Attempt, room: Path) -> list[Path]:
    """
    Download the files of an attempt's result, each into its own directory in ``room``, and return their paths.

    :raises ProviderError: the provider does not have them, or did not send all of them in time.
    """
    provider = accounts.provider_for(attempt)
    ref = RemoteRef.from_json(attempt.remote)
    paths: list[Path] = []
    for asset in _wanted(job, provider.poll(ref)):
        paths.append(room / str(len(paths) + 1) / "delivered")
        paths[-1].parent.mkdir()
        _fetch(provider, ref, asset, paths[-1])
    return paths


def _fetch(provider: Provider, ref: RemoteRef, asset: RemoteAsset, path: Path) -> None:
    with path.open("wb") as sink:
        try:
            provider.fetch(ref, asset, sink, settings.ASSET_MAX_BYTES)
        except ProviderError as error:
            if isinstance(error.__cause__, http.TimedOut) and sink.tell():
                raise ProviderError(ErrorKind.RETRYABLE, error.message, code=TOO_SLOW) from error
            raise


def _wanted(job: Job, result: PollResult) -> list[RemoteAsset]:
    """Return the files of the result: as many as the job requested, or fewer if there are not so many."""
    kind = job.model.medium
    if found := [asset for asset in result.assets if asset.kind == kind]:
        return found[: job.parameters.get("count", 1)]
    if result.state == TaskState.LOST or not result.state.is_terminal:  # for example from another replica
        raise ProviderError(ErrorKind.RETRYABLE, f"The provider was finished but now reports {result.state}.", code="not_done")
    reason = f": {result.error.message}" if result.error else "."
    raise ProviderError(ErrorKind.NOT_FOUND, f"The provider reports {result.state} but has no {kind}{reason}", code="no_asset")


def _cost(job: Job, attempt: Attempt) -> Decimal | None:
    """Return what the provider reports as its charge, or ``None`` if it is known already or not reported."""
    if job.usd_actual is not None:
        return None
    provider = accounts.provider_for(attempt)
    with suppress(ProviderError):
        return provider.actual_cost(RemoteRef.from_json(attempt.remote)) if provider.caps["actual_cost"] else None
    return None


# --- storage --------------------------------------------------------------------------------------------------------


def _store_all(pieces: Sequence[Sequence[media.Piece]], attempt: Attempt) -> tuple[list[Asset], list[str]]:
    """
    Save all files or none to the storage, under generated names, unless an equal file is there. ``pieces`` are the files made of
    each delivered one. Return their unsaved rows and the names of what was saved.
    """
    assets: list[Asset] = []
    saved: list[str] = []
    try:
        for number, group in enumerate(pieces, 1):
            for piece in group:
                key, digest = uuid.uuid4(), disk.digest(piece.path)
                if not (name := _name_of_equal(digest)):
                    place = f"{FOLDER}/{attempt.created_at:%Y/%m}/{key}.{media.EXTENSIONS[piece.content_type]}"
                    name = disk.save(piece.path, place, digest).name
                    saved.append(name)
                assets.append(_row(key, piece, name, digest, attempt, number))
    except BaseException:
        disk.delete(saved)
        raise
    return assets, saved


def _name_of_equal(digest: disk.Digest) -> str | None:
    equal = Asset.objects.kept().filter(sha256=digest.sha256, size=digest.size).values_list("name", flat=True)
    return database.again(equal.first)


def _row(key: uuid.UUID, piece: media.Piece, name: str, digest: disk.Digest, attempt: Attempt, number: int) -> Asset:
    return Asset(
        id=key,
        job_id=attempt.job_id,
        attempt=attempt,
        kind=piece.kind,
        number=number,
        name=name,
        content_type=piece.content_type,
        size=digest.size,
        sha256=digest.sha256,
        width=piece.width,
        height=piece.height,
        seconds=piece.seconds,
        preview=attempt.job.preview,
    )


# --- completion and failure -----------------------------------------------------------------------------------------


@transaction.atomic(durable=True)
def _complete(
    lease: Lease, assets: Sequence[Asset], saved: Sequence[str], stages: Stages, cost: Decimal | None, *, at: datetime
) -> bool:
    job = lifecycle.held_by(lease)
    if job is None:
        return False
    _keep_shared({asset.name for asset in assets} - {*saved})
    pipeline.saved(job, [[asset.kind, asset.size, asset.sha256] for asset in assets], seconds=stages.seconds("storage"), at=at)
    lifecycle.complete(job, assets, at=at, actor="worker", stages=stages.as_data(at=at), usd_actual=cost)
    return True


def _keep_shared(names: Set[str]) -> None:
    """
    Hold files that other rows name, too, until the transaction ends: retention then finds the new rows.

    :raises OSError: one of them has been deleted in the meantime.
    """
    for name in sorted(names):
        if not Asset.objects.kept().filter(name=name).select_for_update(no_key=True).first():
            raise OSError("an equal file was deleted while this one was saved")


def _is_written(assets: Sequence[Asset]) -> bool:
    return Asset.objects.filter(pk__in=[asset.pk for asset in assets]).exists()


def _settle_failure(attempt: Attempt, lease: Lease, problem: Exception, *, at: datetime) -> None:
    again_at = at
    if isinstance(problem, ProviderError) and problem.kind in _ACCOUNT_TROUBLE:
        again_at = accounts.went_badly(attempt, problem, at=at) or at
    kind = problem.kind if isinstance(problem, ProviderError) else ""
    trouble = Trouble("not_delivered", f"The provider finished, but the file could not be saved: {problem}", kind)
    database.again(lambda: _failed(lease, problem, trouble, again_at=again_at, at=at))


def _failed(lease: Lease, problem: Exception, trouble: Trouble, *, again_at: datetime, at: datetime) -> None:
    """Schedule another try, or fail the job as paid but not delivered (T20)."""
    with transaction.atomic():
        job = lifecycle.held_by(lease)
        if job is None:
            return
        if _is_unreachable(problem):
            is_early = isinstance(problem, ProviderError) and problem.code == NOT_READY
            _retry_while_kept(job, trouble, again_at=again_at, is_early=is_early, at=at)
        elif job.store_tries < DOWNLOADS.attempts:
            wait = backoff.BASE + DOWNLOADS.wait_after(job.store_tries, chance=accounts.chance)
            lifecycle.check_again(job, next_check_at=at + timedelta(seconds=wait))
            log.warning("job %s: download try %s failed: %s", job.pk, job.store_tries, problem)
        else:
            _give_up(job, trouble, f"after {job.store_tries} download tries", at=at)


def _retry_while_kept(job: Job, trouble: Trouble, *, again_at: datetime, is_early: bool, at: datetime) -> None:
    """
    Schedule another try while the provider keeps the paid files, then fail the job.

    After half of that time a review item asks staff to remove the obstacle or to download the files by hand.
    """
    made_at, kept_until = _kept_between(job)
    if at >= kept_until:
        _give_up(job, trouble, "before the provider deleted it", at=at)
        return
    if at - made_at >= (kept_until - made_at) / 2 and not ReviewItem.objects.filter(job=job, opened_at__gt=made_at).exists():
        lifecycle.flag(job, f"Paid but not delivered yet. {trouble.message}", at=at, decide_by=kept_until)
    waited = (at - made_at).total_seconds()
    wait = backoff.patient(waited, chance=accounts.chance)
    if is_early and waited < NOT_READY_SECONDS:
        wait = min(wait, 30.0)
    next_check_at = max(at + timedelta(seconds=wait), min(again_at, kept_until))
    lifecycle.check_again(job, next_check_at=next_check_at, counts=False)
    log.warning("job %s: its files can't be reached, trying until %s: %s", job.pk, kept_until, trouble.message)


def _give_up(job: Job, trouble: Trouble, when: str, *, at: datetime) -> None:
    review = f"Paid but not delivered {when}. {trouble.message}"
    lifecycle.fail(job, at=at, actor="worker", trouble=trouble, outcome=Outcome.LOST, review=review)
    log.error("job %s: %s", job.pk, review)


def _kept_between(job: Job) -> tuple[datetime, datetime]:
    """
    Return when the provider was done and until when it keeps the files.

    The end is what the provider reported, at most `KEPT_AT_MOST`, or a default if the report is missing or impossible.
    """
    done = job.events.filter(to_state=State.STORING).exclude(from_state=State.STORING).latest("seq")
    told = datetime.fromisoformat(done.data["kept_until"]) if "kept_until" in done.data else done.at
    return done.at, min(told, done.at + KEPT_AT_MOST) if told > done.at else done.at + KEPT_UNLESS_TOLD


def _is_unreachable(problem: Exception) -> bool:
    """Whether the failure is about reaching or saving the file, on our side or the provider's, and not about the file."""
    if not isinstance(problem, ProviderError):
        return isinstance(problem, OSError)
    return problem.kind in _ACCOUNT_TROUBLE or (problem.kind == ErrorKind.RETRYABLE and problem.code != TOO_SLOW)
