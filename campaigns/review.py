"""Judging results: the versions of each cell with their files, people's verdicts and notes, and which values worked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from campaigns import cells as cell_reads
from campaigns.models import Campaign, Combination, Version
from campaigns.models.combination import Judged, Review
from campaigns.plan import Problem
from queue_app.models import Asset, Batch, Job, State, User
from queue_app.work import intake, policy

NOTE_MOST = 1_000  # characters
ENOUGH = 5  # judged results; below it a rate says little
TO_REVIEW = "none"  # in a filter: no verdict yet
VERDICTS = ("", TO_REVIEW, Review.APPROVED.value, Review.REJECTED.value, Review.WINNER.value)
GOOD = (Review.APPROVED, Review.WINNER)
MAIN_KINDS = (Asset.Kind.VIDEO, Asset.Kind.IMAGE, Asset.Kind.PAGE)


class NotJudgeable(Exception):
    """The cell's version that counts has no result; nothing was written."""


class NoteRefused(Exception):
    """The note cannot be kept; nothing was written. ``problems`` say why, by field."""

    def __init__(self, message: str) -> None:
        self.problems = [Problem("note", message)]
        super().__init__(message)


@dataclass(frozen=True)
class Result:
    """
    A cell that has delivered at least once. Only one whose version that counts is stored can be judged; ``job`` is that
    version's.
    """

    pk: int
    index: int
    values: dict[str, str]
    review: str
    judgeable: bool
    job: int


@dataclass(frozen=True)
class Media:
    """The files of one job; each ``None`` where there is none, or retention took it. ``sheet`` is ten frames in one row."""

    main: Asset | None = None
    still: Asset | None = None
    sheet: Asset | None = None

    @property
    def shape(self) -> str:
        """``wide``, ``square`` or ``tall``."""
        width, height = (self.main.width or 16, self.main.height or 9) if self.main else (16, 9)
        return "wide" if width > height * 1.1 else "tall" if height > width * 1.1 else "square"


@dataclass(frozen=True)
class Take:
    """One version of a cell with its files, and the row that says what was said of it: the cell's own if it counts."""

    number: int
    job: Job
    prompt: str
    media: Media
    judged: Judged
    counts: bool

    @property
    def is_stored(self) -> bool:
        return self.job.state == State.COMPLETED


@dataclass(frozen=True)
class Card:
    """
    A cell as it is judged: ``words`` are its values of the dimensions that tell cells apart, ``takes`` its versions, the latest
    last; ``shown`` is the one that counts, or else the newest of them that is stored.
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
    def judgeable(self) -> bool:
        return self.counted is not None and self.counted.is_stored


@dataclass(frozen=True)
class Tally:
    """How far the judging is. ``total`` is what can be judged, ``again`` are results of which a newer version is not stored."""

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
    """How many of the judged results with one value were approved; winners are approved too."""

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
    """The rates of one dimension, the best first; those of few results last."""

    label: str
    rates: list[Rate]


@transaction.atomic
def judge(cell: Combination, verdict: str, *, at: datetime, by: User, note: str | None = None) -> Combination:
    """
    Set the verdict on a cell's version that counts, and its note where one is given; an empty verdict takes it back.

    :raises NotJudgeable: that version is not stored. :raises NoteRefused: it is too long, or no text.
    """
    locked = _locked(cell)
    before = _judged(locked)
    if verdict and (locked.job is None or locked.job.state != State.COMPLETED):
        stands = State(locked.job.state).label.lower() if locked.job else "blocked"
        raise NotJudgeable(f"You can only review completed {locked.campaign.model.medium}s. #{locked.index} is {stands}.")
    if locked.review != verdict:
        locked.review = Review(verdict)
        locked.reviewed_by, locked.reviewed_at = (by, at) if verdict else (None, None)
    if note is not None:
        locked.note = _checked_note(note)
    locked.save(update_fields=["review", "reviewed_by", "reviewed_at", "note"])
    _audit(locked, before, at=at, by=by)
    return locked


@transaction.atomic
def write_note(cell: Combination, text: str, *, at: datetime, by: User) -> None:
    """
    Keep a note with a cell, whatever its state; an empty one takes it away.

    :raises NoteRefused: it is too long, or no text.
    """
    locked = _locked(cell)
    before = _judged(locked)
    locked.note = _checked_note(text)
    locked.save(update_fields=["note"])
    _audit(locked, before, at=at, by=by)


def results(campaign: Campaign) -> list[Result]:
    """Every cell that has delivered, in the order of the matrix; one query."""
    stored = Version.objects.filter(combination=OuterRef("pk"), job__state=State.COMPLETED)
    cells = Combination.objects.filter(Exists(stored), campaign=campaign).order_by("index")
    rows = cells.values_list("pk", "index", "values", "review", "job__state", "job")
    return [Result(pk, index, values, review, state == State.COMPLETED, job) for pk, index, values, review, state, job in rows]


def tally(found: Iterable[Result]) -> Tally:
    """Count the verdicts."""
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
    Narrow results to a verdict (`TO_REVIEW` for those without one, empty for all) and to values of dimensions.

    :param sort: a dimension's key, to bring results with the same value together in the values' order; else the matrix's order.
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
    """Cells by their ids and in that order, with their versions and files; three queries."""
    rows = Combination.objects.select_related("reviewed_by").in_bulk(cells)
    versions = Version.objects.filter(combination__in=cells).select_related("job", "reviewed_by").order_by("number")
    listed = list(versions)
    files = media_of(version.job_id for version in listed)
    takes: dict[int, list[Take]] = defaultdict(list)
    for one in listed:
        its_cell = rows[one.combination_id]
        counts = one.job_id == its_cell.job_id
        media = files.get(one.job_id, Media())
        takes[its_cell.pk].append(Take(one.number, one.job, one.prompt, media, its_cell if counts else one, counts))
    return [Card(cell, telling_words(campaign, cell.values), takes[pk]) for pk in cells if (cell := rows.get(pk))]


def telling_words(campaign: Campaign, values: Mapping[str, str]) -> list[str]:
    """The words of a cell's values of the dimensions that tell cells apart: those of which more than one value was chosen."""
    telling = [key for key, chosen in campaign.dimensions.items() if len(chosen) > 1]
    return words(campaign, _only(values, telling))


def words(campaign: Campaign, values: Mapping[str, str]) -> list[str]:
    """The values of a cell in the words of its launch."""
    return [cell_reads.label_of(campaign.labels, dimension, value) for dimension, value in values.items()]


def media_of(jobs: Iterable[int]) -> dict[int, Media]:
    """The latest files of some jobs, those that retention took left out; one query."""
    found: dict[int, dict[str, Asset]] = defaultdict(dict)
    for asset in Asset.objects.filter(job__in=list(jobs), expired_at=None).order_by("version"):
        found[asset.job_id]["main" if asset.kind in MAIN_KINDS else asset.kind] = asset
    return {
        job: Media(files.get("main"), files.get(Asset.Kind.THUMBNAIL), files.get(Asset.Kind.SPRITESHEET))
        for job, files in found.items()
    }


def stills(jobs: Iterable[int]) -> dict[int, Asset]:
    """The latest still of each of some jobs; one query, for many jobs."""
    kept = Asset.objects.filter(job__in=list(jobs), kind=Asset.Kind.THUMBNAIL, expired_at=None).order_by("version")
    return {still.job_id: still for still in kept.only("job_id", "name")}


def what_worked(campaign: Campaign, found: Iterable[Result]) -> list[Worked]:
    """The approval rate of every value of each dimension of which more than one value was chosen."""
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
    """The value that did best among those with enough judged results; ``None`` while there is none."""
    firsts = [one.rates[0] for one in worked if not one.rates[0].is_few]
    return max(firsts, key=lambda rate: (rate.percent, rate.judged), default=None)


def _locked(cell: Combination) -> Combination:
    """The cell as it is now, its row locked; no join: it would show the version of before the wait."""
    return Combination.objects.select_for_update().get(pk=cell.pk)


def _judged(cell: Combination) -> dict[str, str]:
    return {"review": cell.review, "note": cell.note}


def _audit(cell: Combination, before: Mapping[str, str], *, at: datetime, by: User) -> None:
    """Tell of a verdict or a note on somebody else's campaign, where it is another than before (I45)."""
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


def _rate(label: str, key: str, value: str, judged: Iterable[Result]) -> Rate:
    verdicts = [one.review for one in judged if one.values.get(key) == value]
    return Rate(label, len(verdicts), sum(one in GOOD for one in verdicts), sum(one == Review.WINNER for one in verdicts))


def _only(values: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    return {key: values[key] for key in keys if key in values}


def _checked_note(text: str) -> str:
    note = text.replace("\r\n", "\n").strip()
    if len(note) > NOTE_MOST:
        raise NoteRefused(f"Too long: {len(note):,} of {NOTE_MOST:,} characters. Shorten it by {len(note) - NOTE_MOST:,}.")
    if problem := intake.text_problem(note):
        raise NoteRefused(problem)
    return note
