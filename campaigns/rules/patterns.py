"""
Staff's regular expressions, made safe to run on anybody's text.

Python's matcher backtracks: ``(a+)+b`` on forty letters runs for hours. So a pattern is read before it is used: ``ways`` counts
in how many ways it can try to match from one place. Where what follows a repeat cannot begin as the repeat goes on there is one
way only, so ``risk\\s+free\\s+trial`` stays cheap. Ways times width is refused above ``MAX_WORK``, and an open end (``*``, ``+``,
``{2,}``) reaches ``REACH`` repeats, so that the work for a text grows with its length and no faster.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# The standard library's parser, by its name in Python 3.11: only the engine's own reading of a pattern is what it will run.
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from campaigns.rules.folding import fold

MAX_LENGTH = 200
MAX_REPEATS = 200
MAX_WORK = 25_000  # characters looked at from one place of the text, at most
REACH = 100

_FLAGS = re.IGNORECASE
_REPEATS = frozenset({_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT})
_ONE_CHARACTER = frozenset({_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN})
_REFERENCES = frozenset({_constants.GROUPREF, _constants.GROUPREF_EXISTS})
_LATIN = 256
# A letter, digit, space, mark and sign, for all characters beyond Latin.
_BEYOND = "ж٣\u2003\u0301→"

Node = tuple[Any, Any]


class PatternRefused(ValueError):
    """The pattern cannot be read, matches nothing at all, or could take too long; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is safe to run."""

    regex: re.Pattern[str]
    needles: tuple[str, ...]
    """Texts of which one is in every folded text that the pattern matches, as they are quicker to look for; may be none."""


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with staff's pattern, as a sentence, or nothing when it can be used."""
    try:
        compile_pattern(pattern)
    except PatternRefused as refused:
        return str(refused)
    return None


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """
    Compile a pattern that ignores case and whose open ends reach ``REACH`` repeats.

    :raises PatternRefused: see the message.
    """
    tree = _read(pattern)
    narrow, wide = tree.getwidth()
    if narrow == 0:
        raise PatternRefused("The pattern can match without any text, so it would hit everywhere. Make one part of it required.")
    if _Reader(tree).ways(tree, frozenset()) * wide > MAX_WORK:
        raise PatternRefused(
            "The pattern could take too long: its repeats reach too far, or can share a text in too many ways (an open end "
            f"counts as {REACH} repeats). Give them short limits such as {{0,10}}, or make two rules of it."
        )
    try:
        return Pattern(_compiler.compile(tree, _FLAGS), tuple(map(fold, _needles(tree))))
    except re.error as error:  # a look-behind of changing width is found only here
        raise PatternRefused(f"The pattern cannot be used: {error}.") from error


def ways(pattern: str) -> int:
    """
    In how many ways the pattern can try to match from one place, at most; capped just above ``MAX_WORK``.

    :raises PatternRefused: it cannot be read, or a repeat inside a repeat multiplies beyond counting.
    """
    tree = _read(pattern)
    return _Reader(tree).ways(tree, frozenset())


def _read(pattern: str) -> Any:
    """The engine's own tree of the pattern, with every open end given its reach."""
    if len(pattern) > MAX_LENGTH:
        raise PatternRefused(
            f"The pattern has {len(pattern)} characters; at most {MAX_LENGTH} are allowed. Make two rules of it."
        )
    try:
        tree = _parser.parse(pattern, _FLAGS)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternRefused(f"The pattern cannot be read: {error}.") from error
    flagged = tree.state.flags != _FLAGS | re.UNICODE
    for op, value in _walk(tree):
        if op in _REFERENCES:
            raise PatternRefused("The pattern refers back to one of its own groups, which is not supported. Write the text out.")
        if op in _REPEATS and (value[0] > MAX_REPEATS or MAX_REPEATS < value[1] < _constants.MAXREPEAT):
            raise PatternRefused(f"The pattern repeats something more than {MAX_REPEATS} times. Use a smaller number.")
        flagged |= op is _constants.SUBPATTERN and bool(value[1] or value[2])
    if flagged:
        raise PatternRefused("The pattern sets flags such as (?i). Leave them out: case is ignored anyway.")
    _shorten(tree)
    return tree


class _Reader:
    """Reads the tree of one pattern; a set of characters is known by its members in a sample, chosen so that overlaps show."""

    def __init__(self, tree: Any) -> None:
        self._state = tree.state
        # Two ranges that overlap do so at an end of one of them, or next to it when one is negated.
        ends = {end + step for node in _walk(tree) for end in _ends(node) for step in (-1, 0, 1)}
        self._sample = sorted({*map(chr, range(_LATIN)), *_BEYOND, *(chr(end) for end in ends if 0 <= end <= sys.maxunicode)})
        self._known: dict[str, frozenset[str]] = {}

    def ways(self, nodes: Sequence[Node], follow: frozenset[str]) -> int:
        """Ways through the nodes in turn, when one of ``follow`` comes after them."""
        total = 1
        for place, (op, value) in enumerate(nodes):
            after = self.starts(nodes[place + 1 :], follow)
            total = min(total * self._ways_of_one(op, value, after), MAX_WORK + 1)
        return total

    def _ways_of_one(self, op: Any, value: Any, after: frozenset[str]) -> int:
        if op in _REPEATS:
            low, high, body = value
            return self._ways_of_repeat(low, high, body, after)
        if op is _constants.BRANCH:
            return self._ways_of_branch(value[1], after)
        inside = _inside(op, value)
        return self.ways(inside[0], after) if inside else 1

    def _ways_of_repeat(self, low: int, high: int, body: Sequence[Node], after: frozenset[str]) -> int:
        starts = self.starts(body, frozenset())
        again = self.ways(body, starts | after if high > 1 else after)
        if again > 1 and high > 1:
            if again**high > MAX_WORK:
                raise PatternRefused(
                    "The pattern repeats a group whose own repeat or alternatives can share the same text, as in (a+)+ or "
                    "(a|aa)+: on some texts it would run for hours. Take the inner repeat away, or limit the outer one."
                )
            return sum(again**times for times in range(low, high + 1))
        exits = 1 if starts.isdisjoint(after) else high - low + 1
        return again * exits

    def _ways_of_branch(self, branches: Sequence[Sequence[Node]], after: frozenset[str]) -> int:
        each = [self.ways(branch, after) for branch in branches]
        starts = [self.starts(branch, after) for branch in branches]
        apart = sum(map(len, starts)) == len(frozenset().union(*starts))
        return max(each) if apart else sum(each)

    def starts(self, nodes: Sequence[Node], follow: frozenset[str]) -> frozenset[str]:
        """The characters with which the nodes, and after them ``follow``, can begin."""
        found: frozenset[str] = frozenset()
        for op, value in nodes:
            if op in _ONE_CHARACTER:
                return found | self._members((op, value))
            for inside in _inside(op, value):
                found |= self.starts(inside, frozenset())
            if not _can_be_empty(op, value):
                return found
        return found | follow

    def _members(self, node: Node) -> frozenset[str]:
        name = repr(node)
        if name not in self._known:
            one = _compiler.compile(_parser.SubPattern(self._state, [node]), _FLAGS)
            members = frozenset(character for character in self._sample if one.match(character))
            # A range beyond Latin can hold characters of every sort between its ends, so it counts as meeting them all.
            self._known[name] = members | frozenset(_BEYOND) if max(_ends(node), default=0) >= _LATIN else members
        return self._known[name]


def _ends(node: Node) -> list[int]:
    """The code points that a node names: its character, or the ends of its ranges."""
    op, value = node
    if op in (_constants.LITERAL, _constants.NOT_LITERAL):
        return [value]
    if op is _constants.RANGE:
        return list(value)
    return [end for part in value for end in _ends(part)] if op is _constants.IN else []


def _inside(op: Any, value: Any) -> list[Sequence[Node]]:
    """The sequences that a node holds and that take text; what looks ahead or behind takes none but is walked like the rest."""
    if op in _REPEATS:
        return [value[2]]
    if op is _constants.BRANCH:
        return list(value[1])
    if op is _constants.SUBPATTERN:
        return [value[3]]
    if op is _constants.ATOMIC_GROUP:
        return [value]
    if op in (_constants.ASSERT, _constants.ASSERT_NOT):
        return [value[1]]
    return []


def _can_be_empty(op: Any, value: Any) -> bool:
    if op in _REPEATS and value[0] == 0:
        return True
    if op in (_constants.ASSERT, _constants.ASSERT_NOT, _constants.AT):
        return True
    inside = _inside(op, value)
    return bool(inside) and any(all(_can_be_empty(*node) for node in sequence) for sequence in inside)


def _walk(nodes: Sequence[Node]) -> Iterator[Node]:
    for op, value in nodes:
        yield op, value
        for inside in _inside(op, value):
            yield from _walk(inside)


def _shorten(tree: Any) -> None:
    """Give every open end its reach, in place."""
    tree.width = None  # the parser has measured groups already, with their ends open
    for place, (op, value) in enumerate(tree.data):
        if op in _REPEATS and value[1] is _constants.MAXREPEAT:
            tree.data[place] = (op, (value[0], max(value[0], REACH), value[2]))
        for inside in _inside(op, value):
            _shorten(inside)


def _needles(nodes: Sequence[Node]) -> list[str]:
    """Texts of which at least one is in all that the nodes match, the longest that a glance finds; empty if it finds none."""
    best: list[str] = []
    run = ""
    for op, value in [*nodes, (None, None)]:
        if op is _constants.LITERAL:
            run += chr(value)
            continue
        found: list[str] = []
        if op is _constants.BRANCH:
            each = [_needles(branch) for branch in value[1]]
            found = [text for texts in each for text in texts] if all(each) else []
        elif op is _constants.SUBPATTERN or (op in _REPEATS and value[0] > 0):
            found = _needles(value[-1])
        best = max(best, [run] if fold(run) else [], found, key=lambda texts: min(map(len, texts), default=0))
        run = ""
    return best
