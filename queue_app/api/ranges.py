"""HTTP ranges (RFC 9110, section 14): which bytes of a file a request wants. Several ranges get the whole file."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies outside the file (416)."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes ``first`` to ``last`` (inclusive) of ``size``."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


def wanted(header: str, size: int) -> ByteRange | None:
    """
    Return the bytes that a Range header asks for, of a file of ``size`` bytes; None for the whole file: no range, several, or one
    that cannot be read.

    :raises Unsatisfiable: the range begins after the end, or is an empty suffix.
    """
    found = _ONE_RANGE.fullmatch(header)
    if found is None or found.group(1) == found.group(2) == "":
        return None
    if found.group(1) == "":
        length = min(int(found.group(2)), size)
        if length == 0:
            raise Unsatisfiable
        return ByteRange(size - length, size - 1, size)
    first, last = int(found.group(1)), int(found.group(2) or size - 1)
    if found.group(2) and last < first:
        return None  # not a range at all
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, min(last, size - 1), size)
