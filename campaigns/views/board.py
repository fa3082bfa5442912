"""The parts of a campaign's page that need more than its rows: the matrix as it is asked for, counts as chips, the cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Any, NamedTuple

from django.http import QueryDict
from django.urls import reverse

from campaigns import cells as cell_reads
from campaigns import status_map
from campaigns.cells import LaunchedCell
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.progress import Progress
from campaigns.standing import BLOCKED
from campaigns.views import player
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import Status
from queue_app.rules.numbers import counted
from queue_app.ui import display

FACTORS_MOST = 4  # dimensions that the head of the page spells out


@dataclass(frozen=True)
class MatrixAsked:
    """The matrix that an address asks for."""

    axes: status_map.Axes
    shows: str

    @property
    def query(self) -> dict[str, str]:
        """The same as parameters of an address."""
        rows, columns = self.axes.outer
        return {"rows": rows, "columns": columns, "show": self.shows}


class Chip(NamedTuple):
    """One count of the progress: ``token`` finds its cells in the matrix, ``href`` lists them."""

    token: str
    look: str
    glyph: str
    number: int
    words: str
    href: str


class CostRow(NamedTuple):
    label: str
    amount: str
    is_sum: bool = False


def asked(campaign: Campaign, query: QueryDict, before: status_map.Axes | None = None) -> MatrixAsked:
    """Return what a query asks for. Pictures of a large matrix fold into tiles; the states of its cells need little room."""
    shows = status_map.STATES if query.get("show") == status_map.STATES else status_map.PICTURES
    is_large = prod(map(len, campaign.dimensions.values())) > status_map.WHOLE_MOST
    most = status_map.TILES_MOST if is_large and shows == status_map.PICTURES else None
    rows, columns = query.get("rows", ""), query.get("columns", "")
    return MatrixAsked(status_map.axes(campaign.dimensions, rows=rows, columns=columns, before=before, most=most), shows)


def bands(campaign: Campaign, progress: Progress, chosen: MatrixAsked, *, at: datetime) -> list[status_map.Band]:
    """Return the matrix. Of a folded one, rows in which nothing has started are one line that says when they start."""
    choices, look = campaign.dimensions, player.look_of(campaign, progress.pictures, shows=chosen.shows)
    idle = status_map.idle(progress.cells, chosen.axes) if status_map.folded(choices, chosen.axes) else {}
    left = estimates.for_jobs(cell_reads.jobs(idle.values()).values(), at) if idle else {}
    starts = {value: _starts(cell, left.get(cell.job or 0)) for value, cell in idle.items()}
    return status_map.bands(progress.cells, chosen.axes, dimensions=choices, look=look, starts=starts)


def named(campaign: Campaign, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Return these dimensions with the labels that they had at launch."""
    return [
        {
            "key": key,
            "label": campaign.labels.get(key, {}).get("label", key),
            "values": [cell_reads.label_of(campaign.labels, key, value) for value in campaign.dimensions[key]],
        }
        for key in keys
    ]


def formula(campaign: Campaign) -> str:
    """Return the shape of the matrix: “5 aesthetics × 2 genders”, or of a large one, “600 combinations in 6 dimensions”."""
    told = named(campaign, [key for key, values in campaign.dimensions.items() if len(values) > 1])
    if len(told) > FACTORS_MOST:
        return f"{prod(len(one['values']) for one in told):,} combinations in {len(told)} dimensions"
    return " × ".join(f"{len(one['values'])} {_plural(one['label'].lower())}" for one in told)


def chips(campaign: Campaign, progress: Progress) -> list[Chip]:
    """Return the counts that are not zero: combinations by status, then results by review."""
    counts, tally, done = progress.counts, progress.tally, progress.is_judged
    cells, review = (reverse(f"campaigns:{name}", args=[campaign.pk]) for name in ("cells", "review"))

    def of_status(token: str, look: str, glyph: str, number: int, words: str, status: str) -> Chip:
        return Chip(token, look, glyph, number, words, f"{cells}?status={status}")

    def of_review(verdict: Review, look: str, glyph: str, number: int, words: str) -> Chip:
        return Chip(verdict.value, look, glyph, number, words, f"{review}?verdict={verdict.value}")

    found = [
        of_status("completed", "completed", "completed", 0 if done else counts.completed, "completed", Status.COMPLETED),
        of_status("processing", "processing", "running", counts.running, "running", Status.PROCESSING),
        of_status("unknown", "unknown", "unknown", counts.unknown, "outcome unknown", Status.PROCESSING),
        of_status("queued", "queued", "queued", counts.waiting, "queued", Status.QUEUED),
        of_status("on_hold", "warn", "pause", counts.on_hold, "on hold", Status.QUEUED),
        of_review(Review.APPROVED, "completed", "completed", tally.approved if done else 0, "approved"),
        of_review(Review.WINNER, "warn", "star", tally.winner, "winner" if tally.winner == 1 else "winners"),
        of_review(Review.REJECTED, "failed", "failed", tally.rejected if done else 0, "rejected"),
        of_status("failed", "failed", "failed", counts.failed, "failed", Status.FAILED),
        of_status("cancelled", "cancelled", "cancelled", counts.cancelled, "cancelled", Status.CANCELLED),
        of_status("blocked", "cancelled", "blocked", counts.blocked, "blocked", BLOCKED),
    ]
    return [chip for chip in found if chip.number]


def cost(campaign: Campaign, progress: Progress) -> list[CostRow]:
    """Return the tickets of a campaign: so far and at most; or once it is finished, what was reserved less what came back."""
    money, counts, stills = progress.money, progress.counts, progress.stills
    why = " or ".join(words for words, number in (("failed", counts.failed), ("cancelled", counts.cancelled)) if number)
    returned = f"Returned, {counts.failed + counts.cancelled:,} {why}" if why else "Returned"
    refunded = [CostRow("Refunded by staff", f"−{money.refunded:,}")] if money.refunded else []
    if counts.open:
        return [
            *([CostRow(f"Charged, {counted(stills.charged, 'still')}", f"{stills.captured:,}")] if stills.charged else []),
            CostRow(f"Charged, {counts.completed:,} completed", f"{money.captured - stills.captured:,}"),
            *([CostRow(f"Reserved, {counted(stills.unfinished, 'still')}", f"{stills.reserved:,}")] if stills.unfinished else []),
            CostRow(f"Reserved, {counts.open:,} unfinished", f"{money.reserved - stills.reserved:,}"),
            *([CostRow(returned, f"{money.returned:,}")] if money.returned else []),
            *refunded,
            CostRow("Maximum cost", f"{money.captured + money.reserved - money.refunded:,}", True),
        ]
    made = counted(counts.completed, campaign.model.medium) + (f", {counted(stills.charged, 'still')}" if stills.charged else "")
    return [
        CostRow("Reserved", f"{money.captured + money.returned:,}"),
        *([CostRow(returned, f"−{money.returned:,}")] if money.returned else []),
        *refunded,
        CostRow(f"Charged, {made}", f"{money.captured - money.refunded:,}", True),
    ]


def _plural(noun: str) -> str:
    """Return “genders”, “ethnicities”; a noun in s stays as it is."""
    if noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def _starts(first: LaunchedCell, left: Estimate | None) -> str:
    """Return when the first of some combinations that have not started will be ready."""
    if first.hold:
        return first.hold
    if left is None or left.p50_seconds is None:
        return "no estimate"
    return f"first ready in about {display.about(left.p50_seconds)}"
