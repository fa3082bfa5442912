r"""
Regular expressions written by staff, safe to run on any text: RE2 takes time in proportion to the text, whatever the pattern.

RE2 has no look-ahead, look-behind or backreferences; such a pattern is refused with the reason. Its ``\b`` and ``\w`` know only
the letters a to z, so a pattern with them is applied to folded text with placeholders for the letters of other scripts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

MAX_LENGTH = 200
MAX_PROGRAM = 10_000  # instructions of the compiled pattern; at worst, the time per letter of the text grows with them
LETTER = "_"
"""The placeholder for a letter of another script: part of a word to RE2, but no letter from a to z and no digit."""

_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
_KNOW_WORDS = frozenset("bBwW")
_NAME_OTHERS = frozenset("pPxQ")
_READ_AS_TEXT = re.compile(r"\{(,\d|\d{5})")
_ADVICE = (  # the engine's message → advice in our words
    (
        re.compile(r"\(\?(<?[=!]|>)"),
        "Look-ahead, look-behind and atomic groups are not supported. Write the text out, or split it into two rules.",
    ),
    (re.compile(r"sequence: \\[1-9]|\(\?P=|\(\?\("), "Backreferences are not supported. Write the text out."),
)
# texts that a pattern matches only if it matches empty text
_NOWHERE = ("", " ", "a", "a a", "1")


class PatternRefused(ValueError):
    """The pattern can't be read, matches empty text, or is too large. The message says how to fix it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is safe to run. ``knows_words``: it uses the boundaries or letters of words."""

    regex: Any
    knows_words: bool

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Return the spans of the matches, without empty ones."""
        return (span for span in map(_span, self.regex.finditer(_encodable(text))) if span[0] < span[1])


def pattern_problem(pattern: str) -> str | None:
    """Return the problem with a pattern as a sentence; ``None`` if it can be used."""
    try:
        compile_pattern(pattern)
    except PatternRefused as refused:
        return str(refused)
    return None


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """
    Compile a pattern that ignores case.

    :raises PatternRefused: see the message.
    """
    escapes = frozenset(_ESCAPES.findall(pattern))
    if problem := _problem(pattern, escapes):
        raise PatternRefused(problem)
    try:
        regex = re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as error:
        raise PatternRefused(_advice(error)) from None
    if regex.programsize > MAX_PROGRAM:
        raise PatternRefused("The pattern is too large. Limit its repeats, for example {0,10}, or split it into two rules.")
    if any(start == end for text in _NOWHERE for start, end in map(_span, regex.finditer(text))):
        raise PatternRefused("The pattern matches empty text, so it would match everywhere. Make one part required.")
    return Pattern(regex, knows_words=not escapes.isdisjoint(_KNOW_WORDS))


def _problem(pattern: str, escapes: frozenset[str]) -> str | None:
    """Return the problem with a pattern that the engine would accept but misread."""
    if len(pattern) > MAX_LENGTH:
        return f"Too long: {len(pattern)} of {MAX_LENGTH} characters. Split it into two rules."
    if "C" in escapes:
        return r"\C is not supported. Use a dot for any character."
    if _READ_AS_TEXT.search(_ESCAPES.sub("", pattern)):
        return "Write repeats as {0,10}, with numbers up to 1000."
    if not escapes.isdisjoint(_KNOW_WORDS) and not (pattern.isascii() and escapes.isdisjoint(_NAME_OTHERS)):
        return (
            r"\b and \w only match the letters a to z, and this pattern has other letters. Remove accents (accents are ignored). "
            "For words in another script, use a term."
        )
    return None


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options


def _advice(error: Exception) -> str:
    said = error.args[0].decode("utf-8", "replace") if isinstance(error, re2.error) else "it contains half a character"
    return next((advice for sign, advice in _ADVICE if sign.search(said)), f"Can't read the pattern: {said}.")


def _encodable(text: str) -> str:
    """Return the text with each unpaired surrogate, which UTF-8 can't encode, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _span(match: Any) -> tuple[int, int]:
    start, end = match.span()
    return start, end
