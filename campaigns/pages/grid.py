"""
A CSV file as a grid of cells, however it was written and damaged: encoding and separator are found out, a broken row is told and
the next one read.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from campaigns.pages import wording
from queue_app.rules import spreadsheet

BYTES_MOST = 5_000_000
FILE_LINES_MOST = 100_000
LINES_MOST = 200  # of one row: a cell with more line breaks was never closed
COLUMNS_MOST = 200
BROKEN_MOST = 100  # rows for whose end the lines after them are searched
TOLD_MOST = 10  # problems of a file

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_OTHERS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x1f\x8b": "a compressed file",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_OLD = (  # encodings, and what shows that a text is in them: kana in a row, Polish letters within a word, nothing
    ("cp932", "Shift-JIS", re.compile("[\u3040-\u30ff]{2}")),
    ("cp1250", "Windows-1250", re.compile("ł[a-ząęó]|[a-z][ąż][a-z]")),
    ("cp1252", "Windows-1252", re.compile("")),
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SAVE = "In your spreadsheet, save it as CSV UTF-8 and upload that file."
_BROKEN = (
    "A quotation mark is not closed, or text follows it. Put the whole cell in quotation marks, and write those inside it twice."
)
_UNREADABLE = re.compile("[\x00\ufffd]")
_SHEET_ERROR = re.compile(r"#(REF!|NAME\?|VALUE!|N/A|DIV/0!|NUM!|NULL!|SPILL!)")
# a formula: not a list's dash, nor a signed number such as “-20 °C”
_FORMULA = re.compile(r"=|@\w+\(|[+-]@?\w+[(|]")


class FileRefused(Exception):
    """A file can't be read at all. ``messages`` are all that is wrong with it."""

    def __init__(self, *messages: str) -> None:
        self.messages = [*messages]
        super().__init__(" ".join(messages))


@dataclass(frozen=True)
class Record:
    """A row of cells by its number in a spreadsheet, in which the header is 1. ``problem``: why its cells may be wrong."""

    number: int
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Grid:
    """
    The rows of a file that are not blank, under the names of its columns. ``encoding`` and ``separator`` are words such as
    “UTF-8” and “comma”.
    """

    columns: tuple[str, ...]
    records: tuple[Record, ...]
    encoding: str
    separator: str


def read(data: bytes, *, rows_most: int, is_known: Callable[[str], bool]) -> Grid:
    """
    Return the rows of a CSV file.

    :param is_known: whether a column of this name is expected, to find out which character separates.
    :raises FileRefused: it is empty, too large, no text, or has no usable header.
    """
    text, encoding = _decoded(data)
    lines = _LINE.findall(text)
    if len(lines) > FILE_LINES_MOST:
        raise FileRefused(f"The file has more than {FILE_LINES_MOST:,} lines. Remove blank ones, or split it into several files.")
    separator, lines = _separator(lines, is_known)
    records = _records(lines, separator)
    header = next(records, None)
    if header is None:
        raise FileRefused("The file is empty. Start from the template.")
    if header.problem:
        raise FileRefused(f"Header: {header.problem}")
    columns = _columns(header)
    found: list[Record] = []
    for record in records:
        if len(found) == rows_most:
            raise FileRefused(f"The file has more than {rows_most:,} rows. Split it into several files.")
        found.append(_fitted(record, len(columns)))
    if not found:
        raise FileRefused("The file has only a header. Add a row for each entry.")
    return Grid(columns, tuple(found), encoding, _SEPARATORS[separator])


def name_problems(names: Sequence[str]) -> list[str]:
    """Return why the columns of a file can't be told apart."""
    if len(names) > COLUMNS_MOST:
        return [f"The file has {len(names)} columns; the limit is {COLUMNS_MOST}. Remove some."]
    problems = [f"Column {number} has no name. Name it or remove it." for number, name in enumerate(names, 1) if not name]
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        first = seen.setdefault(name.casefold(), number)
        if name and first != number:
            problems.append(f"Column {wording.quoted(name)} is here twice: columns {first} and {number}. Remove one of the two.")
    return problems


def cell_problem(text: str) -> str:
    """Return why a cell can't be used, whatever its column; empty if it can."""
    if _UNREADABLE.search(text):
        return "This cell has unreadable characters. Enter the text again."
    if _SHEET_ERROR.match(text.strip()):
        return f"The spreadsheet shows an error here: {wording.quoted(text.strip())}. Enter the value itself."
    if _FORMULA.match(text.strip()):
        return "This is a formula. Enter the value itself."
    return ""


def _decoded(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and the name of its encoding."""
    if not data.strip(b" \t\r\n\x00"):
        raise FileRefused("The file is empty. Start from the template.")
    if len(data) > BYTES_MOST:
        raise FileRefused(
            f"The file is {len(data) / 1e6:.1f} MB; the limit is {BYTES_MOST / 1e6:g} MB. Split it into several files."
        )
    if other := next((name for mark, name in _OTHERS.items() if data.startswith(mark)), ""):
        raise FileRefused(f"This is {other}, not a CSV file. {_SAVE}")
    text, encoding = _text(data)
    if len(_CONTROLS.findall(text[:100_000])) > len(text[:100_000]) / 50:
        raise FileRefused(f"This is not a text file. {_SAVE}")
    return text, encoding


def _text(data: bytes) -> tuple[str, str]:
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", _without_mark(data)))
    try:
        return data[len(mark) :].decode(encoding), encoding.upper().removesuffix("-LE").removesuffix("-BE")
    except UnicodeDecodeError:
        text = data[len(mark) :].decode(encoding, "replace")
    wrong = text.count("\ufffd")
    if mark or sum(letter > "\x7f" for letter in text) > 2 * wrong:  # damaged in places: those cells are told
        return text, encoding.upper().removesuffix("-LE").removesuffix("-BE")
    for encoding, name, sign in _OLD:
        with suppress(UnicodeDecodeError):
            if sign.search(text := data.decode(encoding)):
                return text, name
    raise FileRefused(f"The encoding of this file is unknown. {_SAVE}")


def _without_mark(data: bytes) -> str:
    """Return the encoding of a file without a byte order mark: in UTF-16, every other byte of Latin letters is zero."""
    first = data[:2_000]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if first[offset::2].count(0) > 0.4 * len(first) / 2:
            return encoding
    return "utf-8"


def _separator(lines: list[str], is_known: Callable[[str], bool]) -> tuple[str, list[str]]:
    """Return what separates cells, and the lines without a line that only says so (“sep=;”)."""
    if lines and (said := re.fullmatch(r"sep=([,;\t|])\s*", lines[0], re.I)):
        return said[1], lines[1:]

    def known(separator: str) -> tuple[int, int]:
        header = next(_records(lines, separator), None)
        return (sum(map(is_known, header.cells[:COLUMNS_MOST])), len(header.cells)) if header else (0, 0)

    return max(_SEPARATORS, key=known), lines


def _records(lines: Sequence[str], separator: str) -> Iterator[Record]:
    """Yield the rows that are not blank. After a broken one, reading goes on in the next line, so that no row is lost."""
    at, number, width, broken = 0, 0, 0, 0
    while at < len(lines):
        number += 1
        taken, cells, problem = _record(lines[at : at + (LINES_MOST if broken < BROKEN_MOST else 1)], separator, width)
        if any(cell.strip() for cell in cells):
            yield Record(number, tuple(cells), problem)
            width = width or len(cells)
            broken += bool(problem)
        at += taken


def _record(lines: Sequence[str], separator: str, width: int) -> tuple[int, list[str], str]:
    """Return how many lines the first row takes, its cells and its problem. ``width``: of the header, 0 for the header itself."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        cells = next(reader)
        if reader.line_num == 1 or len(cells) == width or not width:
            return reader.line_num, cells, ""
    except (csv.Error, StopIteration):
        cells = []
    return 1, lines[0].rstrip("\r\n").split(separator), _BROKEN


def _columns(header: Record) -> tuple[str, ...]:
    """Return the names of the columns; those without a name at the end are none."""
    names = [*header.cells]
    while names and not names[-1].strip():
        names.pop()
    if len(names) > COLUMNS_MOST:  # so many are not read, let alone guessed at
        raise FileRefused(*name_problems(names))
    return tuple(wording.line(name) for name in names)


def _fitted(record: Record, width: int) -> Record:
    """Return a row with as many cells as there are columns; cells beyond them stay if they have text, as a problem."""
    cells = [spreadsheet.unguarded(cell) for cell in record.cells]
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    problem = record.problem
    if not problem and len(cells) > width:
        problem = f"This row has {len(cells)} cells for {width} columns. Put cells with a separator inside in quotation marks."
    elif not problem and len(cells) < width:
        problem = f"This row has {len(cells)} cells for {width} columns. Add the missing ones; they may be empty."
    return Record(record.number, (*cells, *[""] * (width - len(cells))), problem)
