"""
Compliance: what a prompt must not say, or should not, and what to write instead.

Rules are compiled once and then tried on many prompts. Text is compared folded: without case, accents, soft hyphens and other
invisible characters, so that none of them hides a term; spans are those of the text as it was written.
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
    """A row of the rule table; ``brand`` is the name of the brand that it holds for, or nothing when it holds for all."""

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
    Where a rule applies: ``text[start:end] == matched`` in the text as it was written. Hits of two rules may overlap. ``matched``
    is empty where the rule itself can't be used: no other words would help, and its reason says why.
    """

    rule: Rule
    start: int
    end: int
    matched: str

    @property
    def advice(self) -> str:
        """What is wrong and how to mend it, in one line."""
        if not self.matched:
            return one_line(self.rule.reason)
        wrong = "is not allowed" if self.rule.severity == "block" else "should be avoided"
        matched, reason, instead = map(one_line, (self.matched, self.rule.reason, self.rule.instead))
        mend = f"Use “{instead}” instead." if instead else "Remove it."
        return f"“{matched}” {wrong}: {reason.rstrip('.')}. {mend}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one text; a blocked one is never bought."""

    level: Level
    hits: tuple[Hit, ...]
    """In the order of the text, at most ``MAX_HITS_PER_RULE`` of each rule."""


CLEAR = Verdict("clear", ())


# Scripts that write no space between words: there a term hits wherever it stands.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[^\W_{_UNSPACED}]+")
# Between the words of a term: "risk free" is "risk-free" and "risk_free" too.
_GAP = r"[\s\-_]+"
_GAPS = re.compile(_GAP)
_OTHERS = re.compile(r"[^\x00-\x7f]")


class _Term:
    """A term, hit as whole words."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        folded = _GAPS.sub(" ", fold(rule.pattern)).strip()
        first = _WORDS.search(folded)
        self.first_word = first[0] if first else None
        """A word that every text with the term has; none for a term of signs or of an unspaced script alone."""
        self._opens, self._closes = _is_spaced(folded[0]), _is_spaced(folded[-1])
        self._regex = re.compile(_GAP.join(map(re.escape, folded.split(" "))))

    def spans(self, folded: str) -> Iterator[tuple[int, int]]:
        """Where the term stands in the folded text."""
        for match in self._regex.finditer(folded):
            start, end = match.span()
            before, after = folded[max(0, start - 1) : start], folded[end : end + 1]
            # Vowel signs are marks to Python, not letters: a letter with one more of them is another syllable.
            inside = self._opens and (_is_spaced(before) or is_mark(before))
            if not inside and not (self._closes and _is_spaced(after)) and not is_mark(after):
                yield start, end


def _is_spaced(character: str) -> bool:
    """Whether it belongs to a word of a script that puts spaces between words."""
    return _WORDS.match(character) is not None


# A form checks again with every key that is pressed; its rules hardly ever change.
_term = lru_cache(maxsize=4096)(_Term)


class Checker:
    """The rules for one brand, ready for many texts; made by :func:`compile`."""

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
        Try every rule on the text. A pattern is tried on the text as written and, where that differs, on the folded one; one that
        says where words begin or end, on the folded one only.
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
        The sentence folded, and the terms whose first word it has: few, however many rules there are.

        The prompts of a campaign share most of their sentences, so each is read once. Folding goes letter by letter and no word
        runs over the end of a sentence, so that reading a text in pieces gives what reading it at once would.
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
    """The folded text with a stand-in for each letter beyond a to z: a word stays one to an engine that knows only those."""
    return _OTHERS.sub(lambda other: LETTER if _is_spaced(other[0]) or is_mark(other[0]) else other[0], text)


def compile(rules: Iterable[Rule], *, brand: str | None = None) -> Checker:
    """
    Prepare the rules that hold for all brands and for ``brand``, whose name is compared folded.

    A row that cannot be used, as :func:`pattern_problem` and :func:`term_problem` would have said when it was written, hits every
    text that is not empty with that problem as its reason, so that nothing passes it unseen.
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
    """What is wrong with staff's term, as a sentence, or nothing when it can be used."""
    if not _GAPS.sub("", fold(term)):
        return "The term is empty. Enter the word or words to match."
    if len(term) > MAX_TERM:
        return f"The term is {len(term)} characters; the limit is {MAX_TERM}."
    return None


def marked(text: str, hits: Sequence[Hit]) -> list[tuple[str, bool]]:
    """Cut the text into pieces, each with whether it is to be marked; overlapping hits become one piece."""
    pieces: list[tuple[str, bool]] = []
    done = 0
    for hit in sorted(hits, key=lambda hit: hit.start):
        if hit.start > done:
            pieces.append((text[done : hit.start], False))
        if hit.end > done:
            pieces.append((text[max(done, hit.start) : hit.end], True))
            done = hit.end
    return [*pieces, (text[done:], False)] if done < len(text) else pieces
