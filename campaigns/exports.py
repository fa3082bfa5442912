"""Downloads of a campaign: every version as CSV, and the approved files as a ZIP that is streamed, never held in memory."""

import io
import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.files.storage import default_storage
from django.utils import timezone
from django.utils.text import slugify

from campaigns import naming, review
from campaigns.models import Campaign, ClientReview, Combination, Version
from campaigns.models.combination import Reviewable
from queue_app.models import Asset, State
from queue_app.models.job import STATUS_OF_STATE
from queue_app.rules import spreadsheet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

log = logging.getLogger(__name__)
CHUNK_BYTES = 256 * 1024
READABLE = 0o100644  # a regular file, writable by its owner and readable by all
Row = Sequence[object]
NOT_REVIEWED: Row = ("", "", "", "")


@dataclass(frozen=True)
class Packed:
    """A file and its name in the ZIP."""

    name: str
    asset: Asset


def file_name(campaign: Campaign, ending: str) -> str:
    """Return a name such as ``campaign-12-autumn-scent.csv``."""
    return f"campaign-{campaign.pk}-{slugify(campaign.name)[:60]}".rstrip("-") + ending


def csv_lines(campaign: Campaign, *, address: Callable[[Asset], str]) -> Iterator[str]:
    """
    Yield the campaign as lines of CSV: one for each version of each cell, with its review, its note and the latest review by a
    client; one for each blocked cell.

    :param address: returns the address of an asset.
    """
    yield spreadsheet.BOM + spreadsheet.line([*_heads(campaign)])
    cells = list(Combination.objects.filter(campaign=campaign).select_related("reviewed_by").order_by("index"))
    versions: dict[int, list[Version]] = {}
    made = Version.objects.filter(combination__campaign=campaign).select_related("job", "reviewed_by").order_by("number")
    for version in made:
        versions.setdefault(version.combination_id, []).append(version)
    clients = _client_reviews(campaign)
    files = review.media_of(version.job_id for version in made)
    for cell in cells:
        begin = [cell.index, *(_word(campaign, cell, key) for key in campaign.dimensions)]
        for version in versions.get(cell.pk, []):
            media = files.get(version.job_id, review.Media())
            where = address(media.main) if media.main else ""
            yield spreadsheet.line([*begin, *_of_version(cell, version, where), *clients.get(version.pk, NOT_REVIEWED)])
        if cell.pk not in versions:
            yield spreadsheet.line(
                [
                    *begin,
                    "",
                    cell.prompt,
                    cell.compliance.get("level", ""),
                    "blocked",
                    "",
                    "",
                    "",
                    cell.note,
                    0,
                    0,
                    "",
                    *NOT_REVIEWED,
                ]
            )


def approved(campaign: Campaign) -> list[Packed]:
    """Return the files of approved cells and winners, each of the version that counts, named by the campaign's template."""
    found = approved_files(campaign)
    names = naming.names(campaign, found)
    return [Packed(name, file) for name, (_, file) in zip(names, found, strict=True)]


def approved_files(campaign: Campaign) -> list[tuple[Combination, Asset]]:
    """Return the files of approved cells and winners in matrix order, each with its cell."""
    good = Combination.objects.filter(campaign=campaign, review__in=review.GOOD).select_related("job").order_by("index")
    return with_files(good)


def with_files(cells: Iterable[Combination]) -> list[tuple[Combination, Asset]]:
    """Return the files of these cells' versions that count, each with its cell. A result of several images has several."""
    listed = list(cells)
    files = review.media_of(cell.job_id for cell in listed if cell.job_id)
    return [(cell, file) for cell in listed for file in files.get(cell.job_id or 0, review.Media()).results]


def zip_pieces(files: Sequence[Packed]) -> Iterator[bytes]:
    """
    Yield a ZIP of the files in pieces. Videos do not compress, so files are stored uncompressed. A file that is missing in the
    storage is listed in ``missing.txt``: a download that ends early would look complete.
    """
    sink = _Sink()
    missing = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for one in files:
            try:
                file = default_storage.open(one.asset.name)
            except FileNotFoundError:
                log.error("asset %s of job %s: its object %s is missing", one.asset.pk, one.asset.job_id, one.asset.name)
                missing.append(one.name)
                continue
            entry = _entry(one.name, one.asset.created_at)
            entry.file_size = one.asset.size
            with file, archive.open(entry, "w") as packed:
                while piece := file.read(CHUNK_BYTES):
                    packed.write(piece)
                    yield sink.take()
        if missing:
            text = "These files are missing from storage:\n" + "\n".join(missing) + "\n"
            archive.writestr(_entry("missing.txt", files[-1].asset.created_at), text)
    yield sink.take()


def _entry(name: str, made_at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, timezone.localtime(made_at).timetuple()[:6])
    entry.external_attr = READABLE << 16  # the upper half holds the Unix mode, which zipfile sets to 0600
    return entry


class _Sink(io.RawIOBase):
    """A buffer that is emptied as it is read. It is not seekable, so the archive has each size behind its file."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        self._held += data
        return memoryview(data).nbytes

    def take(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


def _heads(campaign: Campaign) -> Iterator[str]:
    yield "combination"
    for key in campaign.dimensions:
        yield campaign.labels.get(key, {}).get("label", key)
    yield from ("version", "prompt", "compliance", "status", "review", "reviewed by", "reviewed at (UTC)", "note")
    yield from ("tickets charged", "USD", "file")
    yield from ("client review", "client", "client comment", "client reviewed at (UTC)")


def _word(campaign: Campaign, cell: Combination, key: str) -> str:
    return review.words(campaign, {key: cell.values[key]})[0] if key in cell.values else ""


def _of_version(cell: Combination, version: Version, address: str) -> Row:
    job = version.job
    row: Reviewable = cell if version.job_id == cell.job_id else version
    is_stored = job.state == State.COMPLETED
    who = row.reviewed_by.username if row.reviewed_by else ""
    verdict = (row.review, who, _moment(row.reviewed_at), row.note)
    usd = job.usd_actual if job.usd_actual is not None else job.usd_estimate if is_stored else 0
    compliance = row.compliance.get("level", "")
    status = str(STATUS_OF_STATE[State(job.state)])
    return (version.number, version.prompt, compliance, status, *verdict, job.tickets if is_stored else 0, usd, address)


def _client_reviews(campaign: Campaign) -> dict[int, Row]:
    """Return the latest review by a visitor of a share link, by version."""
    reviews = ClientReview.objects.filter(version__combination__campaign=campaign).order_by("id")
    return {one.version_id: (one.review, one.name, one.comment, _moment(one.at)) for one in reviews}


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
