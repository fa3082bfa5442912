"""
Many pages from one CSV file: each row becomes the metadata of a job, or says what is wrong by column.

Nothing is lost: a row with errors keeps its cells as they are in the file, to be changed on the page (`check`) or in a file with
the reasons (`with_reasons`), which can be read again.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, tzinfo
from typing import Any, NamedTuple

from campaigns.pages import columns, grid, inputs, plan, product_data, wording
from campaigns.pages.columns import ATTRIBUTE, REASONS
from campaigns.pages.grid import Record
from campaigns.pages.types import PageRequest
from queue_app.rules import spreadsheet
from queue_app.rules.nesting import KEPT_MOST, is_deeper
from queue_app.work.intake import DATA_MOST
from queue_app.work.intake import JOBS_MOST as ROWS_MOST
from queue_app.work.pipeline import Objection

_LIST = re.compile(r"[;|\n]")
_QUESTIONS = re.compile(r"[|\n]")  # a question may have a semicolon
_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
_FIELDS = {"prompt": "brief", "seo": "questions"}  # of a request, whose columns have other names
_GROUPED = re.compile(r"\d{1,3}([ ,.'’\u00a0\u202f]\d{3})+")
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})\.(\d{1,2})\.(\d{4})")

Catalogue = Callable[[Collection[str]], Mapping[str, Mapping[str, Any]]]
"""Returns the data of products by their SKUs, without those it does not know."""


class CellProblem(NamedTuple):
    """What is wrong in a column of a row, and what to do; ``column`` is empty if it is the row."""

    column: str
    message: str


@dataclass(frozen=True)
class TableRow:
    """
    A row by its number in the file, where the header is 1, with its ``cells`` by column. Unless it has ``errors``, it can become
    a job with this ``metadata``, ``prompt`` and ``deadline``. ``beyond``: cells after the last column.
    """

    number: int
    cells: Mapping[str, str]
    metadata: Mapping[str, Any]
    prompt: str = ""
    deadline: datetime | None = None
    errors: tuple[CellProblem, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return not self.errors

    def error_of(self, column: str) -> str:
        """Return what is wrong in a column; empty if nothing is."""
        return " ".join(error.message for error in self.errors if error.column == column)


@dataclass(frozen=True)
class Table:
    """A file's columns by our names, and its rows. ``encoding`` and ``separator`` are words such as “UTF-8” and “comma”."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    encoding: str = ""
    separator: str = ""

    @property
    def ready(self) -> list[TableRow]:
        return [row for row in self.rows if row.is_ready]

    @property
    def wrong(self) -> list[TableRow]:
        return [row for row in self.rows if not row.is_ready]


@dataclass(frozen=True)
class Rules:
    """What rows are checked against. ``zone`` is that of dates without one; ``catalogue`` is the owner's."""

    languages: Collection[str]
    at: datetime
    zone: tzinfo = UTC
    catalogue: Catalogue | None = None


def read(data: bytes, rules: Rules) -> Table:
    """
    Return the table of a file.

    :raises FileRefused: the file can't be read, or its columns are not ours.
    """
    found = grid.read(data, rows_most=ROWS_MOST, is_known=lambda name: bool(columns.named(name)))
    named = columns.read(found.columns)
    rows = check(named, found.records, rules)
    return Table(tuple(column for column in named if column != REASONS), rows, found.encoding, found.separator)


def check(names: Sequence[str], records: Iterable[Record], rules: Rules) -> tuple[TableRow, ...]:
    """Return the rows of these records, each checked: all of a table, since two may be alike. See `records` for changed ones."""
    kept = [index for index, column in enumerate(names) if column != REASONS]
    rows = []
    for record in records:
        cells = {names[index]: record.cells[index] for index in kept}
        errors = (CellProblem("", record.problem),) if record.problem else ()
        rows.append(TableRow(record.number, cells, {}, errors=errors, beyond=record.cells[len(names) :]))
    whole = [row for row in rows if not row.errors]
    skus = {sku for row in whole for sku in _items(row.cells.get("skus", ""))}
    products = rules.catalogue(skus) if rules.catalogue and skus else {}
    firsts = _firsts(rows)
    return tuple(_Row(row, rules, products, firsts).checked() if row.is_ready else row for row in rows)


def records(table: Table, changes: Mapping[int, Mapping[str, str]]) -> list[Record]:
    """Return the rows of a table for `check`, with the cells that were changed: row number → column → text."""
    return [
        Record(row.number, tuple(changes.get(row.number, {}).get(column, row.cells.get(column, "")) for column in table.columns))
        if row.number in changes
        else Record(row.number, (*(row.cells.get(column, "") for column in table.columns), *row.beyond), row.error_of(""))
        for row in table.rows
    ]


def with_reasons(table: Table) -> str:
    """Return the rows with errors as CSV, as they were, with a column that says what to change. It is safe in spreadsheets."""
    lines = [spreadsheet.line([*table.columns, REASONS])]
    for row in table.wrong:
        reasons = " ".join(f"{error.column}: {error.message}" if error.column else error.message for error in row.errors)
        lines.append(spreadsheet.line([*(row.cells[column] for column in table.columns), reasons, *row.beyond]))
    return spreadsheet.BOM + "".join(lines)


def template() -> str:
    """Return a CSV file to start from: the columns that most pages need, and a row as an example."""
    example = {
        "page_type": "product",
        "target_url": "https://example.com/en/fell-2",
        "keywords": "trail running shoes; wet rock grip",
        "language": "en",
        "brand_voice": "Plain and dry.",
        "brief": "For runners who leave the road.",
        "product.name": "Fell 2",
        "product.price": "129.90",
        "product.currency": "EUR",
        f"{ATTRIBUTE}Weight": "240 g",
        f"{ATTRIBUTE}Drop": "6 mm",
        f"{ATTRIBUTE}Material": "Nylon",
        "sku_count": "1",
        "monthly_searches": "12400",
        "content_status": "outdated",
        "deadline": "",
        "competitor_urls": "",
        "questions": "Do they grip wet rock? | Can they be washed?",
        "skip_quality_check": "no",
    }
    return spreadsheet.BOM + spreadsheet.line(example) + spreadsheet.line(example.values())


def _items(text: str) -> list[str]:
    return [item for part in _LIST.split(text) if (item := wording.line(part))]


def _identity(cells: Mapping[str, str]) -> tuple[str, str]:
    return cells.get("target_url", "").strip().rstrip("/"), cells.get("language", "").strip().lower()


def _firsts(rows: Sequence[TableRow]) -> dict[tuple[str, str], int]:
    """Return which row is the first one of each URL and language."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        found.setdefault(_identity(row.cells), row.number)
    return found


class _Row:
    """Reads the cells of one row, and collects its errors."""

    def __init__(
        self,
        row: TableRow,
        rules: Rules,
        products: Mapping[str, Mapping[str, Any]],
        firsts: Mapping[tuple[str, str], int],
    ) -> None:
        self.row, self.rules, self.products, self.firsts = row, rules, products, firsts
        self.errors: list[CellProblem] = []

    def checked(self) -> TableRow:
        for column, text in self.row.cells.items():
            if problem := grid.cell_problem(text):
                self._wrong(column, problem)
        metadata, deadline = self._metadata(), self._deadline()
        prompt = wording.clean(self.row.cells.get("brief", ""))
        self._judge(metadata, prompt)
        first = self.firsts[_identity(self.row.cells)]
        if self._cell("target_url") and first != self.row.number:
            self._wrong("target_url", f"Same URL and language as row {first}. Remove one of the two.")
        order = {column: index for index, column in enumerate(self.row.cells)}
        errors = sorted(self.errors, key=lambda error: order.get(error.column, -1))
        return replace(self.row, metadata=metadata, prompt=prompt, deadline=deadline, errors=tuple(errors))

    def _wrong(self, column: str, message: str) -> None:
        self.errors.append(CellProblem(column, message))

    def _cell(self, column: str) -> str:
        return self.row.cells.get(column, "").strip()

    def _metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "page_type": self._cell("page_type").lower(),
            "target_url": self._cell("target_url"),
            "keywords": self._keywords(),
            "language": self._language(),
            "brand_voice": wording.clean(self._cell("brand_voice")),
            "content_status": self._cell("content_status").lower(),
            "competitor_urls": [url for part in _LIST.split(self._cell("competitor_urls")) for url in part.split()],
            "sku_count": self._count("sku_count"),
            "monthly_searches": self._count("monthly_searches"),
            "seo": self._seo(),
            "skip_quality_check": self._flag("skip_quality_check"),
            **self._product(),
        }
        return {key: value for key, value in found.items() if value not in ("", None, [], {})}

    def _language(self) -> str:
        text = self._cell("language")
        return text.lower() if text.lower() in self.rules.languages else text

    def _keywords(self) -> list[str]:
        found = _items(self._cell("keywords"))
        if len(found) == 1 and re.search(r",(?!\d)", found[0]):
            self._wrong("keywords", "Separate keywords by a semicolon, such as “trail shoes; fell shoes”.")
        if any('"' in keyword for keyword in found):
            self._wrong("keywords", "Remove the quotation marks.")
        return found

    def _count(self, column: str) -> int | None:
        text = self._cell(column)
        if not text:
            return None
        if re.fullmatch(r"[0-9]{1,15}", text) or (len(text) <= 20 and _GROUPED.fullmatch(text)):
            return int(re.sub(r"\D", "", text))
        self._wrong(column, "Enter a whole number, such as 12400.")
        return None

    def _seo(self) -> dict[str, Any]:
        found = [question for part in _QUESTIONS.split(self._cell("questions")) if (question := wording.line(part))]
        return {"questions": found} if found else {}

    def _flag(self, column: str) -> bool | None:
        """Return whether it says yes; ``None`` for no."""
        said = _FLAGS.get(self._cell(column).lower())
        if said is None:
            self._wrong(column, "Write yes or no.")
        return said or None

    def _deadline(self) -> datetime | None:
        """Return the deadline: a day means its end."""
        text = self._cell("deadline")
        if not text:
            return None
        found = _moment(text, self.rules.zone)
        if found is None:
            self._wrong("deadline", "Write the date as 2026-12-04, or with a time as 2026-12-04 18:00.")
        elif found <= self.rules.at:
            self._wrong("deadline", "The deadline has passed. Choose a later one, or remove it.")
        return found

    def _product(self) -> dict[str, Any]:
        """Return ``product`` or ``products`` of the metadata, from whichever of the three ways this row uses."""
        own = {name: text for name in self.row.cells if name.startswith("product.") and (text := self._cell(name))}
        ways = [name for name, used in (("skus", self._cell("skus")), ("product", self._cell("product")), ("", own)) if used]
        if len(ways) > 1:
            ways[-1:] = [next(iter(own))] if ways[-1] == "" else ways[-1:]
            self._wrong(ways[1], f"Use only one of {' and '.join(ways)} in a row. Empty the other cells.")
            return {}
        if ways == ["skus"]:
            return self._of_catalogue()
        if ways == ["product"]:
            return self._of_json()
        return _of_columns(own) if own else {}

    def _of_catalogue(self) -> dict[str, Any]:
        skus = list(dict.fromkeys(_items(self._cell("skus"))))
        if unknown := [sku for sku in skus if sku not in self.products]:
            named = ", ".join(wording.quoted(sku) for sku in unknown[:5]) + (", …" if len(unknown) > 5 else "")
            self._wrong("skus", f"Unknown SKU {named}. Import it into your catalogue first.")
        return _as_products([dict(self.products[sku]) for sku in skus if sku in self.products])

    def _of_json(self) -> dict[str, Any]:
        text = self._cell("product")
        try:
            found = json.loads(text, parse_constant=_refused)
        except json.JSONDecodeError as error:
            self._wrong("product", f"This is not JSON: {error.msg} at character {error.pos + 1}. Correct it, or use columns.")
            return {}
        except (ValueError, RecursionError):  # a number of thousands of digits, or thousands of brackets
            found = None
        items = [found] if isinstance(found, Mapping) else found
        if isinstance(items, list) and not is_deeper(items, KEPT_MOST) and all(isinstance(one, Mapping) for one in items):
            return _as_products(product_data.storable(items))
        self._wrong("product", "Enter a JSON object, such as {“name”: “Fell 2”}, or a list of them.")
        return {}

    def _judge(self, metadata: Mapping[str, Any], prompt: str) -> None:
        """Add what the first stage and the plan object to, each at its column."""
        if (size := len(json.dumps(metadata, ensure_ascii=False))) > DATA_MOST:
            self._wrong("", f"This row is {size:,} characters as JSON; the limit is {DATA_MOST:,}. Shorten its product data.")
            return
        told = {error.column for error in self.errors}
        is_unread = any(column.startswith(("product", "skus")) for column in told)  # it would be called missing, too
        objections: Sequence[Objection] = ()
        try:
            request: PageRequest = inputs.read(metadata, prompt, languages=self.rules.languages)
            objections = plan.objections(request)
        except inputs.InputsRefused as refusal:
            objections = refusal.objections
        for objection in objections:
            column = self._column_of(objection.field)
            if column not in told and not (is_unread and objection.field.startswith("metadata.product")):
                self._wrong(column, objection.message)

    def _column_of(self, field: str) -> str:
        """Return the column that a field of the request came from, or would have."""
        name = field.removeprefix("metadata.")
        head = name.partition(".")[0]
        if head not in {"product", "products"}:
            return _FIELDS.get(head, head)
        exact = re.sub(r"^products(\.\d+)?", "product", name)
        used = [column for column in ("skus", "product", exact, "product.name") if self._cell(column)]
        present = [column for column in (exact, "product.name", "skus", "product") if column in self.row.cells]
        return next(iter([*used, *present]), "product")


def _of_columns(cells: Mapping[str, str]) -> dict[str, Any]:
    attributes = {name[len(ATTRIBUTE) :]: text for name, text in cells.items() if name.startswith(ATTRIBUTE)}
    plain = {name.removeprefix("product."): text for name, text in cells.items() if not name.startswith(ATTRIBUTE)}
    return {"product": {**plain, **({"attributes": attributes} if attributes else {})}}


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _as_products(found: list[Any]) -> dict[str, Any]:
    return {"product": found[0]} if len(found) == 1 else {"products": found} if found else {}


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """Return the time that a cell means: ISO 8601, or a day as 2026-12-04 or 4.12.2026, which is its last second."""
    day = _DAY.fullmatch(text)
    try:
        if day:
            year, month, date = (day[1], day[2], day[3]) if day[1] else (day[6], day[5], day[4])
            return datetime.combine(datetime(int(year), int(month), int(date), tzinfo=zone), time(23, 59, 59), tzinfo=zone)
        found = datetime.fromisoformat(text) if re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text) else None
    except ValueError:
        return None
    return found.replace(tzinfo=zone) if found and found.tzinfo is None else found
