"""
How much of one page's text stands in another: MinHash over runs of words, in Japanese over runs of characters.

Signatures are the same in every process, so that they can be kept. Pages that share a band may be alike; `similarity` says how much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b

from campaigns.pages.types import Document

SIZE = 96  # values of a signature: a likeness of 50% is estimated to ±5 points
ROWS = 2  # values of a band: pages that are 30% alike share one in 99 of 100 cases
RUN, RUN_OF_CHARACTERS = 4, 10
PROSE = frozenset({"lead", "paragraph", "point", "answer"})

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]")
_LARGEST = 2**64 - 1


def body_of(document: Document) -> str:
    """Return the sentences of a page, one text block a line, without headings, tables and texts for search results."""
    return "\n".join(block.text for block in document.blocks if block.kind in PROSE)


def signature(text: str) -> tuple[list[int], list[int]]:
    """Return the signature of a text and its bands, as signed 64-bit integers; two empty lists if it has no words."""
    smallest = [_LARGEST] * SIZE
    factors = _factors()
    runs = {int.from_bytes(blake2b(run.encode("utf-8", "replace"), digest_size=8).digest(), "big") for run in _runs(text)}
    if not runs:
        return [], []
    for at, (times, plus) in enumerate(factors):
        smallest[at] = min([(run * times + plus) & _LARGEST for run in runs])
    values = [_signed(value) for value in smallest]
    return values, [_band(at, values[at : at + ROWS]) for at in range(0, SIZE, ROWS)]


def similarity(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the share of runs of words that two texts have in common, from 0 to 1, estimated from their signatures."""
    if not a or len(a) != len(b):
        return 0.0
    return sum(one == other for one, other in zip(a, b, strict=True)) / len(a)


def _runs(text: str) -> Iterator[str]:
    lower = text.lower()
    unspaced = _UNSPACED.findall(lower)
    if len(unspaced) * 4 > len(lower):
        signs, run = "".join(_WORD.findall(lower)), RUN_OF_CHARACTERS
        yield from (signs[at : at + run] for at in range(max(1, len(signs) - run + 1)) if signs)
        return
    words = _WORD.findall(lower)
    yield from (" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1)) if words)


@cache
def _factors() -> tuple[tuple[int, int], ...]:
    """Return an odd factor and a term for each value: a fixed family of permutations of 64-bit numbers."""
    digests = [blake2b(f"page {at}".encode(), digest_size=16).digest() for at in range(SIZE)]
    return tuple((int.from_bytes(one[:8], "big") | 1, int.from_bytes(one[8:], "big")) for one in digests)


def _band(at: int, values: Sequence[int]) -> int:
    return _signed(int.from_bytes(blake2b(f"{at}:{values}".encode(), digest_size=8).digest(), "big"))


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
