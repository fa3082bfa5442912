"""Downloads of a campaign: every version as CSV, and the approved files as a ZIP that is streamed, never held in memory."""

import io
import logging
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.files.storage import default_storage
from django.utils import timezone
from django.utils.text import slugify

from campaigns import review
from campaigns.models import Campaign, Combination, Version
from queue_app.models import Asset, State
from queue_app.models.job import STATUS_OF_STATE
from queue_app.rules import spreadsheet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

log = logging.getLogger(__name__)
CHUNK_BYTES = 256 * 1024
READABLE = 0o100644  # a regular file, writable by its owner and readable by all
NAME_MOST = 150  # characters of a file's name, before its ending
Row = Sequence[object]


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
    Yield the campaign as lines of CSV: one for each version of each cell, one for each blocked cell. Review and note are in the
    line of the latest version.

    :param address: returns the address of an asset.
    """
    yield spreadsheet.BOM + spreadsheet.line([*_heads(campaign)])
    cells = list(Combination.objects.filter(campaign=campaign).select_related("reviewed_by").order_by("index"))
    versions: dict[int, list[Version]] = {}
    for version in Version.objects.filter(combination__campaign=campaign).select_related("job").order_by("number"):
        versions.setdefault(version.combination_id, []).append(version)
    files = review.media_of(version.job_id for made in versions.values() for version in made)
    for cell in cells:
        begin = [cell.index, *(_word(campaign, cell, key) for key in campaign.dimensions)]
        for version in versions.get(cell.pk, []):
            media = files.get(version.job_id, review.Media())
            yield spreadsheet.line([*begin, *_of_version(cell, version, address(media.main) if media.main else "")])
        if cell.pk not in versions:
            yield spreadsheet.line(
                [*begin, "", cell.prompt, cell.compliance.get("level", ""), "blocked", "", "", "", cell.note, 0, 0, ""]
            )


def approved(campaign: Campaign) -> list[Packed]:
    """Return the files of approved cells and winners, each of the reviewed version, named by number and values."""
    cells = list(Combination.objects.filter(campaign=campaign, review__in=review.GOOD).order_by("index"))
    files = review.media_of(cell.job_id for cell in cells if cell.job_id)
    packed = []
    for cell in cells:
        main = files.get(cell.job_id or 0, review.Media()).main
        if main is not None:
            ending = main.file_name.rpartition(".")[2]
            stem = "-".join([f"{cell.index:03}", *(cell.values[key] for key in campaign.dimensions if key in cell.values)])
            packed.append(Packed(f"{stem[:NAME_MOST].rstrip('-')}.{ending}", main))
    return packed


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


def _word(campaign: Campaign, cell: Combination, key: str) -> str:
    return review.words(campaign, {key: cell.values[key]})[0] if key in cell.values else ""


def _of_version(cell: Combination, version: Version, address: str) -> Row:
    job, is_latest = version.job, version.job_id == cell.job_id
    is_stored = job.state == State.COMPLETED
    verdict: Row = ("", "", "", "")
    if is_latest:
        who = cell.reviewed_by.username if cell.reviewed_by else ""
        verdict = (cell.review, who, f"{cell.reviewed_at:%Y-%m-%d %H:%M:%S}" if cell.reviewed_at else "", cell.note)
    usd = job.usd_actual if job.usd_actual is not None else job.usd_estimate if is_stored else 0
    compliance = cell.compliance.get("level", "") if is_latest else ""
    status = str(STATUS_OF_STATE[State(job.state)])
    return (version.number, version.prompt, compliance, status, *verdict, job.tickets if is_stored else 0, usd, address)
