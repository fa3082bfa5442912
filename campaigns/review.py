"""Reviews: the versions of each combination with their files, verdicts and notes, and the approval rate of each value."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from campaigns import cells as cell_reads
from campaigns.models import Campaign, Combination, Version
from campaigns.models.combination import Review, Reviewable
from campaigns.plan import Problem
from queue_app import lifecycle
from queue_app.models import Asset, Batch, Job, State, User
from queue_app.ui import job_facts
from queue_app.work import intake, policy

NOTE_MOST = 1_000  # characters
ENOUGH = 5  # reviews; a rate of fewer is not meaningful
TO_REVIEW = "none"  # as a filter: not reviewed yet
VERDICTS = ("", TO_REVIEW, Review.APPROVED.value, Review.REJECTED.value, Review.WINNER.value)
GOOD = (Review.APPROVED, Review.WINNER)


class NotJudgeable(Exception):
    """The version that counts of the combination is not completed. Nothing was written."""


class NoteRefused(Exception):
    """The note is refused. Nothing was written. ``problems`` say why, by field."""

    def __init__(self, message: str) -> None:
        self.problems = [Problem("note", message)]
        super().__init__(message)


@dataclass(frozen=True)
class Result:
    """
    A combination with a completed version. ``judgeable``: its version that counts is completed, so it can be reviewed. ``job`` is
    that version's.
    """

    pk: int
    index: int
    values: dict[str, str]
    review: str
    judgeable: bool
    job: int


@dataclass(frozen=True)
class Media:
    """
    The files of one job, ``None`` if there is none or it was deleted. ``sheet`` is an image of ten frames in one row, ``more``
    are the other images of a result of several.
    """

    main: Asset | None = None
    still: Asset | None = None
    sheet: Asset | None = None
    more: tuple[Asset, ...] = ()

    @property
    def results(self) -> list[Asset]:
        """Return the files that were generated, the main one first."""
        return [self.main, *self.more] if self.main else []

    @property
    def shape(self) -> str:
        """Return ``wide``, ``square`` or ``tall``; a job without a file is wide."""
        width, height = (self.main.width or 16, self.main.height or 9) if self.main else (16, 9)
        return "wide" if width > height * 1.1 else "tall" if height > width * 1.1 else "square"


@dataclass(frozen=True)
class Take:
    """One version of a combination with its files. ``row``: the row with its review, the combination's if it counts."""

    number: int
    job: Job
    prompt: str
    media: Media
    row: Reviewable
    counts: bool

    @property
    def is_stored(self) -> bool:
        return self.job.state == State.COMPLETED


@dataclass(frozen=True)
class Card:
    """
    A combination on the review page. ``words`` are the labels of its values in dimensions with several values, ``takes`` its
    versions, the latest last. ``shown`` is the version that counts if it is completed, otherwise the latest completed one.
    """

    cell: Combination
    words: list[str]
    takes: list[Take]

    @property
    def name(self) -> str:
        return " · ".join(self.words) or f"#{self.cell.index}"

    @property
    def shown(self) -> Take | None:
        if self.counted is not None and self.counted.is_stored:
            return self.counted
        return next((take for take in reversed(self.takes) if take.is_stored), None)

    @property
    def counted(self) -> Take | None:
        return next((take for take in self.takes if take.counts), None)

    @property
    def latest(self) -> Take | None:
        return self.takes[-1] if self.takes else None

    @property
    def open(self) -> Take | None:
        """Return the version that is not finished; there is at most one, unless an earlier one was retried."""
        return next((take for take in self.takes if take.job.is_open), None)

    @property
    def judgeable(self) -> bool:
        return self.counted is not None and self.counted.is_stored


@dataclass(frozen=True)
class Tally:
    """The progress of the review. ``total`` combinations can be reviewed; ``again`` have a newer, uncompleted version."""

    total: int
    to_judge: int
    approved: int
    rejected: int
    winner: int
    again: int

    @property
    def judged(self) -> int:
        return self.total - self.to_judge

    @property
    def good(self) -> int:
        return self.approved + self.winner


@dataclass(frozen=True)
class Rate:
    """The approvals of one value: ``good`` of ``judged`` reviews. Winners count as approved."""

    label: str
    judged: int
    good: int
    winners: int

    @property
    def percent(self) -> int:
        return round(100 * self.good / self.judged) if self.judged else 0

    @property
    def is_few(self) -> bool:
        return self.judged < ENOUGH


@dataclass(frozen=True)
class Worked:
    """The rates of one dimension, the best first; those with few reviews come last."""

    label: str
    rates: list[Rate]


@transaction.atomic
def judge(cell: Combination, verdict: str, *, at: datetime, by: User, note: str | None = None) -> Combination:
    """
    Set the verdict on the version of a combination that counts, and the note unless it is ``None``. An empty verdict resets the
    review. Return the changed row.

    :raises NotJudgeable: that version is not completed. :raises NoteRefused: the note is too long, or can't be stored.
    """
    locked = _locked(cell)
    before = _judged(locked)
    if verdict and (locked.job is None or locked.job.state != State.COMPLETED):
        phrase = lifecycle.state_phrase(locked.job) if locked.job else "is blocked"
        raise NotJudgeable(f"You can only review completed {locked.campaign.model.medium}s. #{locked.index} {phrase}.")
    if locked.review != verdict:
        locked.review = Review(verdict)
        locked.reviewed_by, locked.reviewed_at = (by, at) if verdict else (None, None)
    if note is not None:
        locked.note = checked_note(note)
    locked.save(update_fields=["review", "reviewed_by", "reviewed_at", "note"])
    _audit(locked, before, at=at, by=by)
    return locked


@transaction.atomic
def write_note(cell: Combination, text: str, *, at: datetime, by: User) -> None:
    """
    Set the note of a combination, in any state. An empty text removes it.

    :raises NoteRefused: the note is too long, or can't be stored.
    """
    locked = _locked(cell)
    before = _judged(locked)
    locked.note = checked_note(text)
    locked.save(update_fields=["note"])
    _audit(locked, before, at=at, by=by)


def results(campaign: Campaign) -> list[Result]:
    """Return all combinations with a completed version, in matrix order. One query."""
    stored = Version.objects.filter(combination=OuterRef("pk"), job__state=State.COMPLETED)
    cells = Combination.objects.filter(Exists(stored), campaign=campaign).order_by("index")
    rows = cells.values_list("pk", "index", "values", "review", "job__state", "job")
    return [Result(pk, index, values, review, state == State.COMPLETED, job) for pk, index, values, review, state, job in rows]


def tally(found: Iterable[Result]) -> Tally:
    """Count the reviews by verdict."""
    listed = list(found)
    counts = {verdict: sum(one.review == verdict for one in listed if one.judgeable) for verdict in Review}
    return Tally(
        total=sum(counts.values()),
        to_judge=counts[Review.NONE],
        approved=counts[Review.APPROVED],
        rejected=counts[Review.REJECTED],
        winner=counts[Review.WINNER],
        again=sum(not one.judgeable for one in listed),
    )


def selected(campaign: Campaign, found: Iterable[Result], *, verdict: str, where: Mapping[str, str], sort: str) -> list[Result]:
    """
    Return the results with a verdict (`TO_REVIEW`: not reviewed; empty: all) and with these values.

    :param sort: the key of a dimension, to group results by its values, in their order; otherwise they are in matrix order.
    """
    kept = [
        one
        for one in found
        if where.items() <= one.values.items()
        and (not verdict or (one.judgeable and one.review == ("" if verdict == TO_REVIEW else verdict)))
    ]
    if sort in campaign.dimensions:
        rank = {value: place for place, value in enumerate(campaign.dimensions[sort])}
        kept.sort(key=lambda one: (rank.get(one.values.get(sort, ""), len(rank)), one.index))
    return kept


def cards(campaign: Campaign, cells: Sequence[int]) -> list[Card]:
    """Return the combinations with these ids, in that order, with their versions and files. Three queries."""
    rows = Combination.objects.select_related("reviewed_by").in_bulk(cells)
    versions = Version.objects.filter(combination__in=cells).select_related("job", "reviewed_by").order_by("number")
    listed = list(versions)
    files = media_of(version.job_id for version in listed)
    takes: dict[int, list[Take]] = defaultdict(list)
    for one in listed:
        combination = rows[one.combination_id]
        counts = one.job_id == combination.job_id
        row = combination if counts else one
        takes[combination.pk].append(Take(one.number, one.job, one.prompt, files.get(one.job_id, Media()), row, counts))
    return [Card(cell, telling_words(campaign, cell.values), takes[pk]) for pk in cells if (cell := rows.get(pk))]


def telling_words(campaign: Campaign, values: Mapping[str, str]) -> list[str]:
    """Return the labels of a cell's values in dimensions with several values."""
    telling = [key for key, chosen in campaign.dimensions.items() if len(chosen) > 1]
    return words(campaign, _only(values, telling))


def words(campaign: Campaign, values: Mapping[str, str]) -> list[str]:
    """Return the labels that these values had at launch."""
    return [cell_reads.label_of(campaign.labels, dimension, value) for dimension, value in values.items()]


def media_of(jobs: Iterable[int]) -> dict[int, Media]:
    """Return the latest files of each job, without deleted ones. One query."""
    found: dict[int, list[Asset]] = defaultdict(list)
    for asset in Asset.objects.kept().filter(job__in=list(jobs)).order_by("version", "-number"):
        found[asset.job_id].append(asset)
    return {job: _media(files) for job, files in found.items()}


def stills(jobs: Iterable[int]) -> dict[int, Asset]:
    """Return the latest still of each job, without deleted ones. One query."""
    kept = Asset.objects.kept().filter(job__in=list(jobs), kind=Asset.Kind.THUMBNAIL).order_by("version", "-number")
    return {still.job_id: still for still in kept.only("job_id", "name")}


def what_worked(campaign: Campaign, found: Iterable[Result]) -> list[Worked]:
    """Return the approval rate of each value, for the dimensions with several values."""
    judged = [one for one in found if one.judgeable and one.review]
    return [
        Worked(
            label=campaign.labels.get(key, {}).get("label", key),
            rates=sorted(
                (_rate(cell_reads.label_of(campaign.labels, key, value), key, value, judged) for value in values),
                key=lambda rate: (rate.is_few, -rate.percent, -rate.judged),
            ),
        )
        for key, values in campaign.dimensions.items()
        if len(values) > 1
    ]


def best(worked: Iterable[Worked]) -> Rate | None:
    """Return the best rate among the values with enough reviews; ``None`` if there is none."""
    firsts = [one.rates[0] for one in worked if not one.rates[0].is_few]
    return max(firsts, key=lambda rate: (rate.percent, rate.judged), default=None)


def _locked(cell: Combination) -> Combination:
    """Return the current row, locked. No join: after waiting for the lock, a joined row would be stale."""
    return Combination.objects.select_for_update().get(pk=cell.pk)


def _judged(cell: Combination) -> dict[str, str]:
    return {"review": cell.review, "note": cell.note}


def _audit(cell: Combination, before: Mapping[str, str], *, at: datetime, by: User) -> None:
    """Audit a changed verdict or note if the campaign belongs to another user (I45)."""
    after = _judged(cell)
    changed = [name for name in after if after[name] != before[name]]
    if changed:
        owner = Batch.objects.values_list("owner", flat=True).get(pk=cell.campaign_id)
        policy.audit_others(
            owner,
            "review combination",
            str(cell),
            at=at,
            actor=by,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            of=cell,
        )


def _media(files: Sequence[Asset]) -> Media:
    """``files`` are those of one job, each version after the one before it, the first number last."""
    latest = {file.kind: file for file in files}
    main = next((file for file in reversed(files) if file.kind in Asset.MAIN_KINDS), None)
    more = tuple(job_facts.beside(main, reversed(files)))
    return Media(main, latest.get(Asset.Kind.THUMBNAIL), latest.get(Asset.Kind.SPRITESHEET), more)


def _rate(label: str, key: str, value: str, judged: Iterable[Result]) -> Rate:
    verdicts = [one.review for one in judged if one.values.get(key) == value]
    return Rate(label, len(verdicts), sum(one in GOOD for one in verdicts), sum(one == Review.WINNER for one in verdicts))


def _only(values: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    return {key: values[key] for key in keys if key in values}


def checked_note(text: str) -> str:
    """
    Return a note as it is kept.

    :raises NoteRefused: it is too long, or can't be stored.
    """
    note = text.replace("\r\n", "\n").strip()
    if len(note) > NOTE_MOST:
        raise NoteRefused(f"Too long: {len(note):,} of {NOTE_MOST:,} characters. Shorten it by {len(note) - NOTE_MOST:,}.")
    if problem := intake.text_problem(note):
        raise NoteRefused(problem)
    return note
