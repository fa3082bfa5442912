"""What the pages that show one result at a time need: the result itself and the strip below it, whoever may see them."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from campaigns import review
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.review import Media, Result
from queue_app.models import Asset
from queue_app.ui import job_facts

FileAddress = Callable[[Asset], str]
PageAddress = Callable[[int], str]  # of a combination's index


@dataclass(frozen=True)
class Staged:
    """
    The result on the stage. ``kind`` is that of its file; empty if there is none or it was deleted. ``more`` are the addresses of
    the other images of a result of several, ``text`` is the beginning of a plain text.
    """

    kind: str
    shape: str
    source: str = ""
    more: Sequence[str] = ()
    poster: str = ""
    text: str = ""
    is_html: bool = False


@dataclass(frozen=True)
class Frame:
    """A picture of the strip, with the address of its result's page. ``still`` may be empty. ``is_open``: to be reviewed."""

    index: int
    name: str
    address: str
    still: str
    review: str
    words: str
    is_open: bool
    is_shown: bool


def staged(media: Media, address: FileAddress) -> Staged:
    """Return a result as it is shown. Reads the file of a plain text."""
    main = media.main
    if main is None:
        return Staged("", "wide")
    return Staged(
        kind=str(main.kind),
        shape=media.shape,
        source=address(main),
        more=[address(file) for file in media.more],
        poster=address(media.still) if media.still else "",
        text=job_facts.excerpt(main),
        is_html=main.content_type == "text/html",
    )


def ahead(result: Result | None, address: FileAddress) -> tuple[str, str]:
    """Return kind and address of the file that comes next, to be loaded ahead; empty if that is no video or image."""
    main = review.media_of([result.job]).get(result.job, Media()).main if result else None
    if main is None or main.kind not in (Asset.Kind.VIDEO, Asset.Kind.IMAGE):
        return "", ""
    return str(main.kind), address(main)


def frames(
    campaign: Campaign,
    results: Iterable[Result],
    *,
    shown: int,
    page: PageAddress,
    address: FileAddress,
    marked: bool = True,
) -> list[Frame]:
    """
    Return the pictures of the strip. One query.

    :param marked: show which ones are not reviewed yet.
    """
    listed = list(results)
    stills = review.stills(one.job for one in listed)
    return [
        Frame(
            index=one.index,
            name=name_of(campaign, one),
            address=page(one.index),
            still=address(stills[one.job]) if one.job in stills else "",
            review=one.review if one.judgeable else "",
            words=_words(one) if marked else "",
            is_open=marked and one.judgeable and not one.review,
            is_shown=one.index == shown,
        )
        for one in listed
    ]


def name_of(campaign: Campaign, result: Result) -> str:
    """Return “Cinematic · Calm”: its values of the dimensions with several values; its number if there are none."""
    return " · ".join(review.telling_words(campaign, result.values)) or f"#{result.index}"


def words_of(verdict: str) -> str:
    """Return a verdict in words: “Approved”, “Not reviewed”."""
    return str(Review(verdict).label).capitalize()


def _words(result: Result) -> str:
    return words_of(result.review).lower() if result.judgeable else "new version not ready"


def own_files() -> FileAddress:
    """Return a function to address files for their owner and staff."""
    return files_at("asset")


def files_at(view: str, *before: str) -> FileAddress:
    """Return a function to address files at a view whose last arguments are the file's. Reverses once, for hundreds of files."""
    sample = (uuid.UUID(int=0), "x")
    stem = reverse(view, args=[*before, *sample]).removesuffix("/".join(map(str, sample)))
    return lambda asset: f"{stem}{asset.pk}/{asset.file_name}"
