"""Differences between texts: two versions of a prompt or of a page, and the prompts of a campaign's combinations."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import Literal, NamedTuple

WORDS_MOST = 1_500  # of one text; comparing takes time in proportion to the product
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
EXCERPT_MOST = 300  # characters
_LINES = partial(str.splitlines, keepends=True)
_SENTENCES = re.compile(r"(?<=[.!?])(?=\s)|(?<=[\u3002\uff01\uff1f])")
_EACH = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Japanese and Chinese are compared by character
_WORDS = re.compile(rf"\s*(?:[{_EACH}]|[^\W{_EACH}]+|[^\w\s])|\s+")  # each with the white space before it
CLOSE_MOST = 40_000  # product of lengths up to which texts are compared word by word

Pieces = list[tuple[str, bool]]
"""A text in pieces, and whether each is marked."""


class Change(NamedTuple):
    """A piece of two versions of a text: in both, only in the earlier one, or only in the later one."""

    text: str
    kind: Literal["same", "gone", "new"]


class Stretch(NamedTuple):
    """Words of an earlier and of a later version; ``same``: they are equal."""

    old: Sequence[str]
    new: Sequence[str]
    same: bool


def between(before: str, after: str) -> tuple[Pieces, Pieces]:
    """Return both texts; in each, the words that the other one lacks are marked. Longer texts are returned without marks."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > WORDS_MOST:
        return [(before, False)], [(after, False)]
    left: Pieces = []
    right: Pieces = []
    for what, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        left.append(("".join(old[i:j]), what != "equal"))
        right.append(("".join(new[k:m]), what != "equal"))
    return _joined(left), _joined(right)


def changes(before: str, after: str) -> list[Change]:
    """
    Return two versions of a long text as one, with what is gone and what is new.

    Lines that both have once are matched first, then sentences, then words; only what is short between these is compared word by
    word. So the texts of a page take milliseconds.
    """
    return _gathered(_changes(before, after, (_LINES, _SENTENCES.split, _WORDS.findall)))


def excerpt(prompt: str, words: Sequence[str]) -> Pieces:
    """
    Return the sentences of a prompt that contain these words, with the words marked; without such sentences, the beginning of
    the prompt.
    """
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word) or r"(?!)", re.I)
    said = [sentence for sentence in _SENTENCE.split(prompt) if pattern.search(sentence)]
    text = " ".join(said) if said else prompt
    short = text if len(text) <= EXCERPT_MOST else f"{text[:EXCERPT_MOST].rstrip()}…"
    return _joined(_split(short, pattern))


def _stretches(old: Sequence[str], new: Sequence[str]) -> Iterator[Stretch]:
    """Yield both texts in stretches that are equal or differ, around what each of them has once and in the same order."""
    in_old, in_new = Counter(old), Counter(new)
    places = {word: place for place, word in enumerate(new) if in_new[word] == 1 and in_old[word] == 1}
    at_old = at_new = 0
    for i, k in _rising([(i, places[word]) for i, word in enumerate(old) if word in places]):
        if i < at_old or k < at_new:
            continue  # it is within the last stretch
        start_old, start_new, end_old, end_new = i, k, i + 1, k + 1
        while start_old > at_old and start_new > at_new and old[start_old - 1] == new[start_new - 1]:
            start_old, start_new = start_old - 1, start_new - 1
        while end_old < len(old) and end_new < len(new) and old[end_old] == new[end_new]:
            end_old, end_new = end_old + 1, end_new + 1
        if start_old > at_old or start_new > at_new:
            yield Stretch(old[at_old:start_old], new[at_new:start_new], same=False)
        yield Stretch(old[start_old:end_old], new[start_new:end_new], same=True)
        at_old, at_new = end_old, end_new
    if at_old < len(old) or at_new < len(new):
        yield Stretch(old[at_old:], new[at_new:], same=list(old[at_old:]) == list(new[at_new:]))


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of pairs, given in the order of their first numbers, whose second numbers rise."""
    ends: list[int] = []  # the lowest second number that a part of this length ends with
    at: list[int] = []  # its place among the pairs
    before: list[int | None] = []
    for place, (_, second) in enumerate(pairs):
        length = bisect_left(ends, second)
        ends[length : length + 1], at[length : length + 1] = [second], [place]
        before.append(at[length - 1] if length else None)
    chain, last = [], at[-1] if at else None
    while last is not None:
        chain.append(pairs[last])
        last = before[last]
    return chain[::-1]


def _changes(before: str, after: str, levels: Sequence[Callable[[str], Sequence[str]]]) -> Iterator[Change]:
    """Compare by the parts of the first level; what differs, by those of the next one."""
    split, *finer = levels
    old, new = split(before), split(after)
    if not finer and len(old) * len(new) <= CLOSE_MOST:
        yield from _word_by_word(old, new)
        return
    for one in _stretches(old, new):
        gone, came = "".join(one.old), "".join(one.new)
        if one.same:
            yield Change(came, "same")
        elif finer:
            yield from _changes(gone, came, finer)
        elif len(one.old) * len(one.new) <= CLOSE_MOST:
            yield from _word_by_word(one.old, one.new)
        else:
            yield from (Change(gone, "gone"), Change(came, "new"))


def _word_by_word(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    for what, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield Change("".join(new[k:m]), "same")
        else:
            yield from (Change("".join(old[i:j]), "gone"), Change("".join(new[k:m]), "new"))


def _gathered(pieces: Iterable[Change]) -> list[Change]:
    """Join neighbours of one kind; between two pieces that are the same, what is gone comes before what is new."""
    found: list[Change] = []
    gone = new = ""
    for text, kind in [*pieces, Change("", "same")]:
        if kind == "gone":
            gone += text
        elif kind == "new":
            new += text
        elif text or gone or new:
            found += [Change(gone, "gone")] if gone else []
            found += [Change(new, "new")] if new else []
            gone = new = ""
            if text and found and found[-1].kind == "same":
                found[-1] = Change(found[-1].text + text, "same")
            elif text:
                found.append(Change(text, "same"))
    return found


def _split(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    end = 0
    for found in pattern.finditer(text):
        yield text[end : found.start()], False
        yield found[0], True
        end = found.end()
    yield text[end:], False


def _joined(pieces: Iterable[tuple[str, bool]]) -> Pieces:
    """Drop empty pieces, and join neighbours with equal marks."""
    found: Pieces = []
    for text, marked in pieces:
        if found and text and found[-1][1] == marked:
            found[-1] = (found[-1][0] + text, marked)
        elif text:
            found.append((text, marked))
    return found
