"""Differences between prompts: between two versions, and between the combinations of a campaign."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

WORDS_MOST = 1_500  # of one text; comparing takes time in proportion to the product
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
EXCERPT_MOST = 300  # characters

Pieces = list[tuple[str, bool]]
"""A text in pieces, and whether each is marked."""


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
