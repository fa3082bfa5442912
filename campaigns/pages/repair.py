"""
Reads the JSON in a model's answer, although it is rarely just that: there is text around it, a fence, a trailing comma.

What is repaired never changes what the JSON says: other quotes around texts, line breaks in texts, quotes in texts that can't end
them, trailing commas, comments, names of Python. A truncated answer is not completed: it is `CutOff`. The work is linear in the
length of the answer, and no nesting recurses.
"""

import math
import re
from typing import Any

MOST_CHARACTERS = 200_000
DEEPEST = 32  # the schemas of components have 5 levels
LONGEST_NUMBER = 40
CLOSERS = {'"': '"', "'": "'", "“": '”“"', "„": '“”"', "‘": "’‘'"}  # opening quote → what may close the text
WORDS = {"true": True, "True": True, "false": False, "False": False} | dict.fromkeys(
    ("null", "None", "undefined", "NaN", "Infinity", "-Infinity")
)
WORD = re.compile(r"-?[^\W\d]\w*")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
SPACE = re.compile(r"[\s\ufeff\u200b]*")
OPENER = re.compile(r"[{\[]")
PLAIN = {quote: re.compile(rf"[^\\{''.join(closers)}]*") for quote, closers in CLOSERS.items()}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": "\n"}
CODE = re.compile(r"u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}")
SURROGATES = re.compile(r"[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")


class NotJson(ValueError):
    """There is no JSON object or list in the answer."""


class CutOff(ValueError):
    """The answer ends in the middle of its JSON."""


class _Wrong(Exception):
    """What begins at an opening bracket is not JSON: at this place it goes wrong."""

    def __init__(self, at: int):
        super().__init__(at)
        self.at = at


def parse(text: str) -> dict[str, Any] | list[Any]:
    """
    Return the first object with content in a model's answer, else its first list, else an empty object.

    :raises CutOff: the answer is truncated.
    :raises NotJson: there is neither, or it is too long or too deep to be an answer.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotJson(f"The answer has more than {MOST_CHARACTERS:,} characters.")
    at = text.rfind("/think>") + 1  # drafts of a reasoning model are no answer
    others: list[dict[str, Any] | list[Any]] = []
    while opener := OPENER.search(text, at):
        try:
            value, at = _container(text, opener.start())
        except _Wrong as error:
            at = max(error.at, opener.end())
            continue
        if value and isinstance(value, dict):
            return value
        others.append(value)
    if not others:
        raise NotJson("There is no JSON in the answer.")
    return next((one for one in others if isinstance(one, list)), others[0])


def _container(text: str, at: int) -> tuple[dict[str, Any] | list[Any], int]:
    """Return the object or list that begins at a place, and where it ends."""
    opened: list[dict[str, Any] | list[Any]] = []
    keys: list[str] = []  # of the objects among them, the key whose value is read
    while True:
        # a value is due, or the end of what is open
        at = _skip(text, at)
        if opened and text[at] == "}]"[isinstance(opened[-1], list)]:
            value: Any = opened.pop()
            at += 1
        else:
            if opened and isinstance(opened[-1], dict):
                key, at = _key(text, at)
                keys.append(key)
                at = _skip(text, at)
            if text[at] in "{[":
                if len(opened) == DEEPEST:
                    raise NotJson(f"The answer is nested deeper than {DEEPEST} levels.")
                opened.append({} if text[at] == "{" else [])
                at += 1
                continue
            value, at = _scalar(text, at)
        # a value is complete: it goes into what is open, which it may be the last of
        while opened:
            inside = opened[-1]
            if isinstance(inside, dict):
                inside[keys.pop()] = value
            else:
                inside.append(value)
            at = _skip(text, at)
            if text[at] == ",":
                at += 1
                break
            if text[at] != "}]"[isinstance(inside, list)]:
                raise _Wrong(at)
            value = opened.pop()
            at += 1
        else:
            return value, at


def _key(text: str, at: int) -> tuple[str, int]:
    """Return the key at a place, quoted or a bare word, and where its value may begin."""
    if text[at] in CLOSERS:
        key, end = _text(text, at)
    elif word := WORD.match(text, at):
        key, end = word[0], word.end()
    else:
        raise _Wrong(at)
    end = _skip(text, end)
    if text[end] != ":":
        raise _Wrong(end)
    return key, end + 1


def _scalar(text: str, at: int) -> tuple[Any, int]:
    """Return the text, number or word at a place, and where it ends."""
    if text[at] in CLOSERS:
        return _text(text, at)
    if word := WORD.match(text, at):
        if word[0] in WORDS:
            return WORDS[word[0]], word.end()
        if word.end() == len(text):
            raise CutOff("The answer ends in a word.")
    elif (number := NUMBER.match(text, at)) and len(number[0]) <= LONGEST_NUMBER:
        value = float(number[0]) if re.search(r"[.eE]", number[0]) else int(number[0])
        return (value if math.isfinite(value) else None), number.end()
    raise _Wrong(at)


def _text(text: str, at: int) -> tuple[str, int]:
    """Return the quoted text at a place, and where it ends."""
    quote, parts = text[at], []
    at += 1
    while True:
        run = PLAIN[quote].match(text, at)
        assert run
        parts.append(run[0])
        at = run.end()
        if at >= len(text) - text.endswith("\\"):  # a slice here would copy the rest for each part
            raise CutOff("The answer ends in a text.")
        if text[at] == "\\":
            part, at = _escaped(text, at + 1)
            parts.append(part)
        elif _ends(text, at + 1, strictly=quote not in "\"'"):
            return SURROGATES.sub(_pair, "".join(parts)), at + 1
        else:
            parts.append(text[at])
            at += 1


def _ends(text: str, after: int, *, strictly: bool) -> bool:
    """Tell whether a quote ends its text. One before a word can't; one like those that people type ends it before a mark only."""
    if strictly:
        after = SPACE.match(text, after).end()  # type: ignore[union-attr]
        return after == len(text) or text[after] in ",:]}/#"
    while text[after : after + 1] == " ":
        after += 1
    return not text[after : after + 1].isalnum()


def _escaped(text: str, at: int) -> tuple[str, int]:
    """Return what an escape stands for, and where it ends. ``at``: behind the backslash."""
    if code := CODE.match(text, at):
        return chr(int(code[0][1:], 16)), code.end()
    if text[at] == "u":
        if len(text) < at + 5:
            raise CutOff("The answer ends in an escape.")
        raise _Wrong(at)
    return ESCAPES.get(text[at], text[at]), at + 1


def _pair(found: re.Match[str]) -> str:
    """Return the character of a surrogate pair; a lone one is none."""
    return found[0].encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _skip(text: str, at: int) -> int:
    """Return where the next sign is behind space and comments."""
    while True:
        at = SPACE.match(text, at).end()  # type: ignore[union-attr]
        if text.startswith("//", at) or text.startswith("#", at):
            at = text.find("\n", at)
        elif text.startswith("/*", at):
            at = text.find("*/", at) + 2
            at = -1 if at == 1 else at
        elif at == len(text):
            at = -1
        else:
            return at
        if at == -1:
            raise CutOff("The answer ends before its JSON does.")
