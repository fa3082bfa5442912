"""
Many pages from one CSV: its rows as a draft keeps them, checked again at every look, since time and the catalogue go on.

The body of such a draft has the file's name, encoding and separator, its ``columns``, and its ``rows``: number, cells, and what
is wrong with the row as a whole.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.utils import timezone

from campaigns.models import Page
from campaigns.pages import table
from campaigns.pages.columns import COLUMNS
from campaigns.pages.grid import Record
from campaigns.pages.table import Rules, Table, TableRow
from campaigns.writing import launch
from campaigns.writing.drafts import Body
from campaigns.writing.launch import Ranked, Wanted
from campaigns.writing.products import look_up
from queue_app.models import User
from queue_app.rules.words import one_line, storable

NAME_MOST = 100  # characters
PASTED = "Pasted rows"
CELL_MOST = 20_000  # characters of a changed cell


@dataclass(frozen=True)
class PageSheet:
    """A file's rows as they are now. ``versions`` say of a ready row that its page would be a further version."""

    file: str
    table: Table
    versions: Mapping[int, str]
    owner: User
    at: datetime

    @property
    def rows(self) -> Sequence[TableRow]:
        return self.table.rows

    @cached_property
    def ready(self) -> list[TableRow]:
        return self.table.ready

    @cached_property
    def wrong(self) -> list[TableRow]:
        return self.table.wrong

    @cached_property
    def to_check(self) -> list[TableRow]:
        """Return the rows that somebody should look at."""
        return [row for row in self.rows if not row.is_ready or row.number in self.versions]

    @property
    def wanted(self) -> list[Wanted]:
        return [Wanted(row.metadata, row.prompt, row.deadline) for row in self.ready]

    @cached_property
    def ranks(self) -> list[Ranked]:
        return [launch.rank(self.owner, one, at=self.at) for one in self.wanted]

    @property
    def priorities(self) -> str:
        """Return how many pages have which priority: “12 high, 33 normal”."""
        counts = Counter((rank.level, rank.name) for rank in self.ranks)
        return ", ".join(f"{number:,} {name}" for (_, name), number in sorted(counts.items(), reverse=True))


def read(data: bytes, name: str, owner: User, *, at: datetime) -> Body:
    """
    Return the body of a draft of this file.

    :raises FileRefused: it can't be read as a table of pages.
    """
    found = table.read(data, _rules(owner, at=at))
    rows = [[record.number, [storable(cell) for cell in record.cells], record.problem] for record in table.records(found, {})]
    file = one_line(storable(name))[-NAME_MOST:] or PASTED
    return {
        "file": file,
        "encoding": found.encoding,
        "separator": found.separator,
        "columns": list(found.columns),
        "rows": rows,
    }


def look(body: Body, owner: User, *, at: datetime) -> PageSheet:
    """Check the rows of a draft."""
    records = [Record(number, tuple(cells), problem) for number, cells, problem in body["rows"]]
    rows = table.check(body["columns"], records, _rules(owner, at=at))
    checked = Table(tuple(body["columns"]), rows, body["encoding"], body["separator"])
    return PageSheet(body["file"], checked, _versions(checked.ready, owner), owner, at)


def changed(body: Body, changes: Mapping[int, Mapping[str, str]], *, without: Collection[int] = ()) -> Body:
    """Return the body with these cells: row → column → text. A column that the file did not have is added."""
    columns = list(body["columns"])
    new = [name for name in COLUMNS if name not in columns and any(name in cells for cells in changes.values())]
    rows = []
    for number, cells, problem in body["rows"]:
        own = {name: text for name, text in changes.get(number, {}).items() if name in [*columns, *new]}
        fitted = [*cells[: len(columns)], *([""] * len(new))]
        now = [own.get(name, fitted[place])[:CELL_MOST] for place, name in enumerate([*columns, *new])]
        if number in without:
            continue
        rows.append([number, now, ""] if now != fitted else [number, [*fitted, *cells[len(columns) :]], problem])
    return {**body, "columns": [*columns, *new], "rows": rows}


def rest(body: Body, kept: Collection[int]) -> Body | None:
    """Return the body with these rows only; ``None`` if there are none."""
    rows = [row for row in body["rows"] if row[0] in kept]
    return {**body, "rows": rows} if rows else None


def _rules(owner: User, *, at: datetime) -> Rules:
    zone = timezone.get_current_timezone()
    return Rules(settings.PAGE_LANGUAGES, at, zone, lambda skus: look_up(owner, skus))


def _versions(rows: Sequence[TableRow], owner: User) -> dict[int, str]:
    """Return of each row whose page exists already what becomes of it."""
    urls = {str(row.metadata["target_url"]) for row in rows}
    pages = Page.objects.filter(owner=owner).at(*urls).order_by("version").select_related("job")
    latest: dict[tuple[str, Any], Page] = {(page.target_url, page.language): page for page in pages}
    found = {}
    for row in rows:
        if page := latest.get((str(row.metadata["target_url"]), row.metadata["language"])):
            day = timezone.localtime(page.job.queued_at)
            found[row.number] = f"Generated on {day.day} {day:%b} already: this becomes version {page.version + 1}."
    return found
