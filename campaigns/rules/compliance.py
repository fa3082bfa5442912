"""
Compliance: words that a prompt must not or should not contain, and what to use instead.

Rules are compiled once and then applied to many prompts. Text is compared folded, that is without case, accents, soft hyphens and
other invisible characters, because any of them could hide a term. Spans refer to the original text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Literal

from campaigns.rules.folding import Folded, fold, is_mark
from campaigns.rules.patterns import LETTER, Pattern, compile_pattern, pattern_problem
from queue_app.rules.words import one_line

__all__ = ["Checker", "Hit", "Rule", "Verdict", "compile", "fold", "marked", "pattern_problem", "term_problem"]

MAX_HITS_PER_RULE = 20
MAX_TERM = 200  # characters

_SENTENCE_END = ". "
_SENTENCES_KEPT = 1024

Kind = Literal["term", "pattern"]
Severity = Literal["warn", "block"]
Level = Literal["clear", "warn", "block"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the rule table. ``brand`` is the name of the brand that it applies to; ``None`` for all brands."""

    id: int
    name: str
    kind: Kind
    pattern: str
    severity: Severity
    reason: str
    instead: str
    brand: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """
    A match of a rule: ``text[start:end] == matched`` in the original text. Hits of two rules may overlap. ``matched`` is empty if
    the rule itself can't be used: then no other words would help, and its reason says why.
    """

    rule: Rule
    start: int
    end: int
    matched: str

    @property
    def advice(self) -> str:
        """Return in one line what is wrong and the suggested fix."""
        if not self.matched:
            return one_line(self.rule.reason)
        wrong = "is not allowed" if self.rule.severity == "block" else "should be avoided"
        matched, reason, instead = map(one_line, (self.matched, self.rule.reason, self.rule.instead))
        mend = f"Use “{instead}” instead." if instead else "Remove it."
        return f"“{matched}” {wrong}: {reason.rstrip('.')}. {mend}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check. A blocked text is not generated."""

    level: Level
    hits: tuple[Hit, ...]
    """In the order of the text, at most ``MAX_HITS_PER_RULE`` of each rule."""


CLEAR = Verdict("clear", ())


# Scripts without spaces between words: there a term matches anywhere.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[^\W_{_UNSPACED}]+")
# Between the words of a term: "risk free" matches "risk-free" and "risk_free" too.
_GAP = r"[\s\-_]+"
_GAPS = re.compile(_GAP)
_OTHERS = re.compile(r"[^\x00-\x7f]")


class _Term:
    """A term, which matches whole words."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        folded = _GAPS.sub(" ", fold(rule.pattern)).strip()
        first = _WORDS.search(folded)
        self.first_word = first[0] if first else None
        """A word of every text that contains the term; ``None`` for terms of signs or of a script without spaces."""
        self._opens, self._closes = _is_spaced(folded[0]), _is_spaced(folded[-1])
        self._regex = re.compile(_GAP.join(map(re.escape, folded.split(" "))))

    def spans(self, folded: str) -> Iterator[tuple[int, int]]:
        """Yield the matches in the folded text."""
        for match in self._regex.finditer(folded):
            start, end = match.span()
            before, after = folded[max(0, start - 1) : start], folded[end : end + 1]
            # Vowel signs are marks to Python, not letters: with one more of them, a letter is another syllable.
            inside = self._opens and (_is_spaced(before) or is_mark(before))
            if not inside and not (self._closes and _is_spaced(after)) and not is_mark(after):
                yield start, end


def _is_spaced(character: str) -> bool:
    """Whether the character belongs to a word of a script with spaces between words."""
    return _WORDS.match(character) is not None


# A form is checked at every keystroke, and rules hardly ever change.
_term = lru_cache(maxsize=4096)(_Term)


class Checker:
    """The compiled rules for one brand, for any number of texts; see :func:`compile`."""

    def __init__(self, terms: Iterable[_Term], patterns: Iterable[tuple[Rule, Pattern]], unusable: Iterable[Rule] = ()) -> None:
        self._by_word: dict[str, list[_Term]] = {}
        self._everywhere: list[_Term] = []
        for term in terms:
            home = self._everywhere if term.first_word is None else self._by_word.setdefault(term.first_word, [])
            home.append(term)
        self._patterns, self._unusable = tuple(patterns), tuple(unusable)
        self._read: dict[str, tuple[str, list[_Term]]] = {}

    def check(self, text: str) -> Verdict:
        """
        Apply every rule to the text. A pattern is applied to the original text and, if it differs, to the folded one; a pattern
        about the beginning or end of words, to the folded one only.
        """
        sentences = [self._read.get(sentence) or self._read_sentence(sentence) for sentence in text.split(_SENTENCE_END)]
        folded = Folded(text, _SENTENCE_END.join([sentence for sentence, _ in sentences]))
        terms = {id(term): term for _, found in sentences for term in found}
        hits: list[Hit] = []
        for rule, spans in self._found(folded, [*terms.values(), *self._everywhere]):
            for start, end in dict.fromkeys(islice(spans, MAX_HITS_PER_RULE)):
                hits.append(Hit(rule, start, end, text[start:end]))
        if not hits:
            return CLEAR
        level: Level = "block" if any(hit.rule.severity == "block" for hit in hits) else "warn"
        return Verdict(level, tuple(sorted(hits, key=lambda hit: (hit.start, hit.end, hit.rule.id))))

    def _read_sentence(self, sentence: str) -> tuple[str, list[_Term]]:
        """
        Return the folded sentence, and the terms whose first word occurs in it: few, however many rules there are.

        The prompts of a campaign share most of their sentences, so each is read once. Folding works letter by letter and no word
        spans two sentences, so reading a text in pieces has the same result as reading it whole.
        """
        folded = fold(sentence)
        words = self._by_word.keys() & _WORDS.findall(folded) if self._by_word else ()
        if len(self._read) >= _SENTENCES_KEPT:
            self._read.clear()
        self._read[sentence] = folded, [term for word in words for term in self._by_word[word]]
        return self._read[sentence]

    def _found(self, folded: Folded, terms: Iterable[_Term]) -> Iterator[tuple[Rule, Iterable[tuple[int, int]]]]:
        for term in terms:
            yield term.rule, map(folded.original_span, term.spans(folded.text))
        for rule, pattern in self._patterns:
            yield rule, _spans(pattern, folded)
        for rule in self._unusable if folded.original else ():
            yield rule, [(0, 0)]


def _spans(pattern: Pattern, folded: Folded) -> Iterator[tuple[int, int]]:
    if pattern.knows_words:
        yield from map(folded.original_span, pattern.spans(_in_latin_words(folded.text)))
        return
    yield from pattern.spans(folded.original)
    if folded.differs:
        yield from map(folded.original_span, pattern.spans(folded.text))


@lru_cache(maxsize=64)
def _in_latin_words(text: str) -> str:
    """Return the folded text with a placeholder for each letter beyond a to z, for an engine that knows only those as letters."""
    return _OTHERS.sub(lambda other: LETTER if _is_spaced(other[0]) or is_mark(other[0]) else other[0], text)


def compile(rules: Iterable[Rule], *, brand: str | None = None) -> Checker:
    """
    Compile the rules for all brands and those for ``brand``. Names of brands are compared folded.

    A rule that can't be used (see :func:`pattern_problem` and :func:`term_problem`) matches every text that is not empty, with
    the problem as its reason: otherwise texts would pass it unchecked.
    """
    ours = None if brand is None else fold(brand)
    terms: list[_Term] = []
    patterns: list[tuple[Rule, Pattern]] = []
    unusable: list[Rule] = []
    for rule in rules:
        if rule.brand is not None and fold(rule.brand) != ours:
            continue
        if problem := (pattern_problem if rule.kind == "pattern" else term_problem)(rule.pattern):
            reason = f"The compliance rule “{rule.name}” can't be used until staff correct it. {problem}"
            unusable.append(replace(rule, reason=reason, instead=""))
        elif rule.kind == "pattern":
            patterns.append((rule, compile_pattern(rule.pattern)))
        else:
            terms.append(_term(rule))
    return Checker(terms, patterns, unusable)


def term_problem(term: str) -> str | None:
    """Return the problem with a term as a sentence; ``None`` if it can be used."""
    if not _GAPS.sub("", fold(term)):
        return "The term is empty. Enter the word or words to match."
    if len(term) > MAX_TERM:
        return f"The term is {len(term)} characters; the limit is {MAX_TERM}."
    return None


def marked(text: str, hits: Sequence[Hit]) -> list[tuple[str, bool]]:
    """Split the text into pieces, each with whether it is highlighted. Overlapping hits become one piece."""
    pieces: list[tuple[str, bool]] = []
    done = 0
    for hit in sorted(hits, key=lambda hit: hit.start):
        if hit.start > done:
            pieces.append((text[done : hit.start], False))
        if hit.end > done:
            pieces.append((text[max(done, hit.start) : hit.end], True))
            done = hit.end
    return [*pieces, (text[done:], False)] if done < len(text) else pieces
