"""Results in small places, for pages that show hundreds: addresses of small pictures, with one query for any number of jobs."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.urls import reverse

from campaigns.models import Combination
from campaigns.models.combination import TO_JUDGE
from queue_app.models import Asset, State

Kind = Asset.Kind
_GLYPHS = {"video": "play", "image": "image", "page": "page", "text": "text"}
_VERBS = {"video": "Play", "text": "Read"}
_SMALL = (*Asset.MAIN_KINDS, Kind.TILE, Kind.THUMBNAIL, Kind.SPRITESHEET)


@dataclass(frozen=True)
class Picture:
    """
    The result of a job. ``kind`` is that of its main file, empty if that was deleted. ``tile`` is the address of a picture of
    240 px, ``sheet`` that of ten frames in one row; both are empty if there is none. ``seconds`` is the length of a video.
    """

    kind: str = ""
    tile: str = ""
    sheet: str = ""
    seconds: float | None = None
    shape: str = "wide"

    @property
    def glyph(self) -> str:
        """The drawing that stands for a result without a picture."""
        return _GLYPHS.get(self.kind, "completed")

    @property
    def verb(self) -> str:
        """What people do with the result."""
        return _VERBS.get(self.kind, "Open")


GONE = Picture()


def of_jobs(jobs: Iterable[int]) -> dict[int, Picture]:
    """Return the results of these jobs, by job; those without any file are left out. One query."""
    listed = list(jobs)
    if not listed:
        return {}
    # the last one of a kind wins: the first file of the latest delivery
    rows = Asset.objects.kept().filter(job__in=listed, kind__in=_SMALL).order_by("version", "-number")
    found: dict[int, dict[str, tuple[Any, ...]]] = defaultdict(dict)
    for job, kind, *file in rows.values_list("job", "kind", "pk", "name", "width", "height", "seconds"):
        found[job]["main" if kind in Asset.MAIN_KINDS else kind] = (kind, *file)
    address = addresses()
    return {job: _picture(files, address) for job, files in found.items()}


def newest_of_campaigns(campaigns: Iterable[int], *, most: int = 1, to_review: bool = False) -> dict[int, list[Picture]]:
    """
    Return the results that each campaign completed last, up to ``most`` of each, newest first. Two queries.

    :param to_review: only those without a review.
    """
    place = Window(RowNumber(), partition_by="campaign", order_by=[F("job__ended_at").desc(), F("pk").desc()])
    cells = Combination.objects.filter(campaign__in=list(campaigns), job__state=State.COMPLETED)
    ranked = (cells.filter(TO_JUDGE) if to_review else cells).annotate(place=place).filter(place__lte=most)
    jobs = list(ranked.order_by("campaign", "place").values_list("campaign", "job"))
    known = of_jobs(job for _, job in jobs)
    found: dict[int, list[Picture]] = defaultdict(list)
    for campaign, job in jobs:
        found[campaign].append(known.get(job, GONE))
    return found


def addresses() -> Callable[[uuid.UUID, str], str]:
    """Return what makes the address of a file from its id and its name in the storage: reversed once, not hundreds of times."""
    stem = reverse("asset", args=[uuid.UUID(int=0), "x"]).removesuffix(f"{uuid.UUID(int=0)}/x")
    return lambda pk, name: f"{stem}{pk}/{name.rpartition('/')[2]}"


def shape_of(width: int | None, height: int | None) -> str:
    """Return ``wide``, ``square`` or ``tall``; what has no size is wide."""
    if not width or not height:
        return "wide"
    return "wide" if width > height * 1.1 else "tall" if height > width * 1.1 else "square"


def _picture(files: dict[str, tuple[Any, ...]], address: Callable[[uuid.UUID, str], str]) -> Picture:
    main = files.get("main")
    if main is None:
        return GONE
    kind, _, _, width, height, seconds = main
    small = files.get(Kind.TILE) or files.get(Kind.THUMBNAIL)
    sheet = files.get(Kind.SPRITESHEET)
    return Picture(
        kind=kind,
        tile=address(*small[1:3]) if small else "",
        sheet=address(*sheet[1:3]) if sheet else "",
        seconds=seconds,
        shape=shape_of(width, height),
    )
