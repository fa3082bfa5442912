"""What the pages that show one video at a time need of it and of the strip below it, whoever may see them."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.urls import reverse

from campaigns import review
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.review import Media, Result
from queue_app.models import Asset

FileAddress = Callable[[Asset], str]
PageAddress = Callable[[int], str]  # of a combination's index


@dataclass(frozen=True)
class Clip:
    """What stands on the stage. ``kind`` is the file's, or empty where there is none or retention took it."""

    kind: str
    shape: str
    source: str = ""
    poster: str = ""


@dataclass(frozen=True)
class Frame:
    """One picture of the strip, with the address of its video's page. ``still`` may be empty; ``is_open``: to be reviewed."""

    index: int
    name: str
    address: str
    still: str
    review: str
    words: str
    is_open: bool
    is_shown: bool


def clip(media: Media, address: FileAddress) -> Clip:
    """The main file of a version, to be played or looked at."""
    if media.main is None:
        return Clip("", "wide")
    poster = address(media.still) if media.still else ""
    return Clip(str(media.main.kind), media.shape, address(media.main), poster)


def frames(campaign: Campaign, results: Iterable[Result], *, shown: int, page: PageAddress, address: FileAddress) -> list[Frame]:
    """The strip's pictures of some results; one query."""
    listed = list(results)
    stills = review.stills(one.job for one in listed)
    return [
        Frame(
            index=one.index,
            name=name_of(campaign, one),
            address=page(one.index),
            still=address(stills[one.job]) if one.job in stills else "",
            review=one.review if one.judgeable else "",
            words=words_of(one.review).lower() if one.judgeable else "new version not ready",
            is_open=one.judgeable and not one.review,
            is_shown=one.index == shown,
        )
        for one in listed
    ]


def name_of(campaign: Campaign, result: Result) -> str:
    """“Cinematic · Calm”: the values that tell it from the others; its number where none does."""
    return " · ".join(review.telling_words(campaign, result.values)) or f"#{result.index}"


def words_of(verdict: str) -> str:
    """“Approved”, “Not reviewed”."""
    return str(Review(verdict).label).capitalize()


def own_files() -> FileAddress:
    """Addresses of files as their owner and staff open them."""
    return files_at("asset")


def files_at(view: str, *before: str) -> FileAddress:
    """Addresses of files at a view whose last arguments are the file's; reversed once, not once for each of hundreds."""
    sample = (uuid.UUID(int=0), "x")
    stem = reverse(view, args=[*before, *sample]).removesuffix("/".join(map(str, sample)))
    return lambda asset: f"{stem}{asset.pk}/{asset.file_name}"
