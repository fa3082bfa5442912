"""
The proof of "none": what a provider's list of tasks says of a create call whose answer was lost (`providers.md` §7.4).

Adapters translate pages into rows; a row is read here, and nowhere else. Nothing is believed that a gateway may have changed,
left out, or invented: a task is found where a row is it beyond doubt, and is not there only where the list has shown, by a task
that it surely has, that it would have shown ours. What cannot be proved is said in words, for a person.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from statistics import median
from typing import Any

# seconds
BEFORE, AFTER = 60.0, 180.0  # around the create call, once the provider's clock is known
UNKNOWN_CLOCK, WRONG_CLOCK = 15 * 60.0, 3600.0
NEAR = 15 * 60.0  # a like task this far outside the window is still for a person to look at
SLACK = 60.0  # by which times may rise in a list that is newest first, and an answer's own date may lag
CONTROL_WITHIN = 6 * 3600.0
EARLIEST, A_DAY = 1_672_531_200.0, 86_400.0  # 2023: no video API is older
LONG_ENOUGH = 64  # characters of ours that a longer text must begin with to be ours with something added
LONGEST_ID = 4_096
NO_ID = "0"  # what gateways send for an id that is not known
SOON = 3.0  # seconds in which no gateway loses its list, comes back, and takes the next call
SHOWN = 10  # rows that a person is shown

_ELLIPSIS = re.compile(r"…|\.\.\.")
_SNAPSHOT = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|:[\w.]+|@\d+)$")


@dataclass(frozen=True)
class Row:
    """
    One task in a list, as the gateway says it. ``None``, or blank: it does not say. ``id`` is text (see :func:`task_id`);
    ``names`` are all names that this task goes by, its id among them; ``ended`` is whether its state is a last one.
    """

    id: str | None
    made: Any = None
    prompt: str | None = None
    model: str | None = None
    names: frozenset[str] = frozenset()
    ended: bool | None = None

    @property
    def shows_prompt(self) -> bool:
        return bool(self.prompt and self.prompt.strip())

    def all_names(self) -> frozenset[str]:
        return self.names | ({self.id} if self.id else frozenset())


@dataclass(frozen=True)
class Page:
    """
    One answer of a list. ``asked`` rows were asked for; ``more`` is what it says itself of a next page, ``date`` the answer's own
    time (seconds since 1970). ``cursor`` is where to go on, for a list that goes on by its own marks and not by a task's id.
    """

    rows: Sequence[Row] = ()
    asked: int = 0
    more: bool | None = None
    date: float | None = None
    cursor: str | None = None


@dataclass(frozen=True)
class Call:
    """A create call: what was asked for and when (seconds since 1970, our clock)."""

    prompt: str
    model: str
    called_at: float


@dataclass(frozen=True)
class Known:
    """A task of this account that belongs to another attempt. ``control``: the answer to its create call named it."""

    names: frozenset[str]
    call: Call
    control: bool = False
    gone: bool = False  # cancelled by us: a list may leave it out


@dataclass(frozen=True)
class Lookup:
    """What one walk through the list has brought; ``why_not`` says in words what keeps "none" from being proved."""

    sure: list[Row] = field(default_factory=list)
    maybe: list[Row] = field(default_factory=list)
    none_proved: bool = False
    why_not: list[str] = field(default_factory=list)
    proof: dict[str, Any] = field(default_factory=dict)


class Likeness(Enum):
    SAME, WEAK, DIFFERENT, UNKNOWN = range(4)


def task_id(value: Any) -> str | None:
    """
    Read an id of any JSON type: a number is its decimal text. Null, true, 0, an object, more than 4,096 characters and what no
    column can keep are no id.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    if isinstance(value, int) and abs(value) >= 10**LONGEST_ID:
        return None
    text = str(value)
    readable = 0 < len(text) <= LONGEST_ID and text.strip() not in {"", NO_ID} and "\0" not in text and not _half_pairs(text)
    return text if readable else None


def moment(value: Any, *, now: float) -> float | None:
    """
    Read a time, in seconds since 1970, from seconds, milliseconds or microseconds, also as text, or from ISO 8601.

    0, null, before 2023 and more than a day ahead mean that it is not known.
    """
    if isinstance(value, str):
        value = value.strip()
        try:
            value = float(value)
        except ValueError:
            try:
                read = datetime.fromisoformat(value)
            except ValueError:
                return None
            value = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not abs(value) < 1e18:  # nan, too
        return None
    seconds = value / 1e6 if value >= 1e14 else value / 1e3 if value >= 1e11 else float(value)
    return seconds if EARLIEST <= seconds <= now + A_DAY else None


def same_prompt(ours: str, listed: str | None) -> Likeness:
    """
    Compare what a gateway may change: form of letters, line breaks, white space. WEAK where it may also be ours cut, at whatever
    length, or with something added, or with its signs and capitals written otherwise.
    """
    if listed is None or not listed.strip():
        return Likeness.UNKNOWN
    if _even(ours) == _even(listed):
        return Likeness.SAME
    one, other = _letters(ours), _letters(_ELLIPSIS.split(listed)[0])
    is_longer = len(one) >= LONG_ENOUGH and other.startswith(one)
    return Likeness.WEAK if one.startswith(other) or is_longer else Likeness.DIFFERENT


def same_model(ours: str, listed: str | None, aliases: Mapping[str, str]) -> Likeness:
    """Compare names that gateways resolve or prefix: case, vendor, snapshot, the account's own ``aliases`` (theirs to ours)."""
    if not listed:
        return Likeness.UNKNOWN
    listed = aliases.get(listed, listed)
    one, other = _bare(ours), _bare(listed)
    return Likeness.SAME if one == other or _SNAPSHOT.sub("", one) == _SNAPSHOT.sub("", other) else Likeness.DIFFERENT


def ids_of(pages: Iterable[Page]) -> set[str]:
    """All names in a walk: what to ask the database about."""
    return {name for page in pages for row in page.rows for name in row.all_names()}


@dataclass
class Walk:
    """
    The pages of one walk through a list, newest first, judged for one create call of ours.

    ``trusted``: an operator vouches for this list, which stands in for the positive control and for nothing else. ``grace``:
    seconds until nothing can begin any more. ``takes``: seconds that such a task takes at most, as a rule. ``is_first``: no task
    of this account is from before the call.
    """

    call: Call
    now: float
    grace: float
    takes: float = 0.0
    known: Sequence[Known] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False
    is_first: bool = False
    pages: list[Page] = field(default_factory=list)
    dates: Sequence[float] = ()  # by how many seconds the server's clock was ahead of ours, page by page
    budget_spent: bool = False
    end_is_shown: bool = False

    def and_then(self, page: Page, known: Sequence[Known], *, now: float) -> Walk:
        """One page further, read ``now``, with what is known of the tasks in it."""
        told = {name for one in self.known for name in one.names}
        more = [one for one in known if not one.names & told]
        dates = self.dates if page.date is None else [*self.dates, page.date - now]
        return replace(self, pages=[*self.pages, page], known=[*self.known, *more], dates=dates)

    def and_no_further(self) -> Walk:
        return replace(self, budget_spent=True)

    @property
    def to_ask_for(self) -> int:
        """
        How many rows to ask for, so that a list shows that it can count: half of its first page. 0 where that proves nothing.

        Behind an account's first call nothing older can be in its list. A true end stands in for that where a known task was
        taken so soon after the call that no gateway can have lost its list in between: one that was restarted shows the same.
        """
        newer = [known.call.called_at - self.call.called_at for known in self._newer]
        is_provable = self.is_first and self.reached_the_end and min(newer, default=SOON) < SOON
        return len(self.pages[0].rows) // 2 if is_provable else 0

    def and_its_end(self, some: Page, beyond: Page) -> Walk:
        """
        Also read: a page of :attr:`to_ask_for` rows, and what is beyond the last one. A list that gives as many as it is asked
        for, says then that there are more, and has nothing beyond its end was not cut short.
        """
        counts = len(some.rows) == self.to_ask_for and some.more is True
        return replace(self, end_is_shown=counts and not beyond.rows and beyond.more is not True)

    # --- reading ----------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[Row]:
        """Each task once, in the list's order: pages may overlap."""
        seen: set[str] = set()
        rows = []
        for row in (row for page in self.pages for row in page.rows):
            names = row.all_names()
            if row.id and not names & seen:
                rows.append(row)
            seen |= names
        return rows

    @cached_property
    def owners(self) -> dict[str, Known]:
        return {name: known for known in self.known for name in known.names}

    def owner(self, row: Row) -> Known | None:
        return next((self.owners[name] for name in row.all_names() if name in self.owners), None)

    @cached_property
    def skew(self) -> float | None:
        """By how much the list's clock is ahead of ours: by the tasks known in it, else by its answers' dates."""
        apart = [made - owner.call.called_at for row in self.rows if (owner := self.owner(row)) and (made := self.made(row))]
        return median(apart) if apart else median(self.dates) if self.dates else None

    def made(self, row: Row) -> float | None:
        return moment(row.made, now=self.now)

    def window(self, call: Call) -> tuple[float, float]:
        """From when to when, by the list's clock, a task of this call was made."""
        if self.skew is None:
            return call.called_at - UNKNOWN_CLOCK, call.called_at + max(UNKNOWN_CLOCK, self.grace + BEFORE)
        first = call.called_at - BEFORE + min(self.skew, 0.0)
        return first, call.called_at + max(AFTER, self.grace + BEFORE) + max(self.skew, 0.0)

    @property
    def times_exclude(self) -> bool:
        return self.skew is None or abs(self.skew) <= WRONG_CLOCK

    @cached_property
    def has_times(self) -> bool:
        return any(self.made(row) is not None for row in self.rows)

    @cached_property
    def place(self) -> dict[str, int]:
        return {row.id: index for index, row in enumerate(self.rows) if row.id}

    @cached_property
    def ordered(self) -> bool:
        """Whether all rows have a time, and none is newer than one above it."""
        lowest = None
        for row in self.rows:
            made = self.made(row)
            if made is None or (lowest is not None and made > lowest + SLACK):
                return False
            lowest = made if lowest is None else min(lowest, made)
        return True

    # --- the positive control ---------------------------------------------------------------------------------------

    @cached_property
    def controls(self) -> list[tuple[Row, Known]]:
        """The tasks that this account surely has, near our call, and that stand in this list."""
        found = ((row, self.owner(row)) for row in self.rows)
        return [(row, known) for row, known in found if known and known.control and self._is_near(known)]

    def _is_near(self, known: Known) -> bool:
        return abs(known.call.called_at - self.call.called_at) <= CONTROL_WITHIN

    @cached_property
    def recognised(self) -> list[tuple[Row, Known]]:
        """Controls that this very reading finds by what was asked for, as it would find ours."""
        return [(row, known) for row, known in self.controls if self._would_find(row, known)]

    def _would_find(self, row: Row, known: Known) -> bool:
        if row.shows_prompt and same_prompt(known.call.prompt, row.prompt) is not Likeness.SAME:
            return False
        if same_model(known.call.model, row.model, self.aliases) is Likeness.DIFFERENT:
            return False
        if not row.shows_prompt and self.made(row) is None:
            return False  # nothing of ours can be told from anybody's
        made = self.made(row)
        first, last = self.window(known.call)
        return made is None or not self.times_exclude or first <= made <= last

    @cached_property
    def prompts_tell(self) -> bool:
        """
        Whether another text is another task: this list is known to give prompts as they were sent, and where ours is not plain
        ASCII, one that is not either.
        """
        shown = [(row, known) for row, known in self.controls if row.shows_prompt]
        faithful = all(same_prompt(known.call.prompt, row.prompt) is Likeness.SAME for row, known in shown)
        as_hard = [known for _, known in shown if self.call.prompt.isascii() or not known.call.prompt.isascii()]
        return faithful and (bool(as_hard) or self.trusted)

    @cached_property
    def models_tell(self) -> bool:
        """Whether another name is another task: this list is known to give this very model the name that we know."""
        shown = [(row, known) for row, known in self.controls if row.model and known.call.model == self.call.model]
        faithful = all(same_model(known.call.model, row.model, self.aliases) is Likeness.SAME for row, known in shown)
        return faithful and (bool(shown) or self.trusted)

    # --- rows -------------------------------------------------------------------------------------------------------

    def is_sure(self, row: Row) -> bool:
        if self.owner(row) or same_prompt(self.call.prompt, row.prompt) is not Likeness.SAME:
            return False
        if same_model(self.call.model, row.model, self.aliases) is Likeness.DIFFERENT:
            return False
        made = self.made(row)
        if made is not None and self.times_exclude:
            first, last = self.window(self.call)
            return first <= made <= last
        return not self.has_times and self._is_above_an_older_control(row)

    def _is_above_an_older_control(self, row: Row) -> bool:
        older = [
            self.place[control.id]
            for control, known in self.recognised
            if known.call.called_at < self.call.called_at and control.id
        ]
        return bool(older) and self.place[row.id or ""] < min(older)

    def could_be(self, row: Row) -> bool:
        """Whether nothing shows that this row is another task."""
        if self.owner(row):
            return False
        prompt = same_prompt(self.call.prompt, row.prompt)
        made = self.made(row)
        if made is not None and self.times_exclude:
            first, last = self.window(self.call)
            beyond = 0.0 if prompt is not Likeness.SAME else NEAR
            if not first - beyond <= made <= last + beyond:
                return False
        if prompt is Likeness.DIFFERENT and self.prompts_tell:
            return False
        return not (same_model(self.call.model, row.model, self.aliases) is Likeness.DIFFERENT and self.models_tell)

    # --- the proof --------------------------------------------------------------------------------------------------

    @property
    def reached_the_end(self) -> bool:
        """
        A true end: a page that says so itself and is shorter than asked, or an empty one after the first. That nothing is said of
        a next page is no end, and neither is a full one, whatever it says.
        """
        if not self.pages:
            return False
        last = self.pages[-1]
        if not last.rows:
            return len(self.pages) > 1 or last.more is False
        return last.more is False and len(last.rows) < last.asked and not self.repeats

    @property
    def repeats(self) -> bool:
        """Whether the last page brought nothing new: the list ignores where it was to go on."""
        if len(self.pages) < 2 or not self.pages[-1].rows:
            return False
        return ids_of(self.pages[-1:]) <= ids_of(self.pages[:-1])

    @property
    def is_a_copy(self) -> bool:
        """Whether an answer comes out of a cache, which keeps its date: that lags behind, and the clock of the tasks does not."""
        lag = min(self.dates, default=0.0)
        return lag < -SLACK and (self.skew is None or lag < self.skew - SLACK)

    @property
    def is_past(self) -> bool:
        """Whether, in a list that is newest first, a row was read that is older than any that could be ours."""
        if not self.ordered:
            return False
        first = self.window(self.call)[0] - NEAR
        made = [self.made(row) for row in self.rows]
        return self.times_exclude and any(time is not None and time < first for time in made)

    @property
    def is_over(self) -> bool:
        """Whether reading on brings nothing more: all is said, or the list cannot be read on."""
        if self.budget_spent or not self.pages:
            return self.budget_spent
        if self.repeats or self.reached_the_end:
            return True
        return self.is_past and bool(self.controls or self.trusted)

    def judge(self) -> Lookup:
        """What this walk says of our call."""
        sure = sorted((row for row in self.rows if self.is_sure(row)), key=self._age)
        maybe = [row for row in self.rows if row not in sure and self.could_be(row)]
        why_not = [] if sure else self._why_not(maybe)
        controls = [row.id for row, _ in self.recognised]
        proof = {
            "controls": controls[:SHOWN],
            "trusted": self.trusted and not controls,
            "pages": len(self.pages),
            "rows": len(self.rows),
            "skew": None if self.skew is None else round(self.skew, 1),
        }
        return Lookup(sure, maybe[:SHOWN], not sure and not why_not, why_not, proof)

    def _age(self, row: Row) -> tuple[float, int]:
        made = self.made(row)
        return (made if made is not None else float("inf"), -self.place[row.id or ""])

    def _why_not(self, maybe: Sequence[Row]) -> list[str]:
        unreadable = sum(row.id is None for page in self.pages for row in page.rows)
        missing = self._missing()
        both_sides = bool(self._older and self._newer)
        reasons = {
            "The list was not read back to the time of the call.": (
                not self._is_walked_past and not (self.reached_the_end and (both_sides or self.end_is_shown))  # N1
            ),
            "The end of the list is not certain: "
            + ("it shows the same tasks again." if self.repeats else "it does not say that there is no more."): (
                not self.reached_the_end and not (self.ordered and self._is_walked_past)  # N2
            ),
            "The list has no times, or is not newest first, and no known task is on each side of the call.": (
                not self.ordered and not both_sides
            ),
            "The list is too long to be read to its end.": self.budget_spent,  # N3
            f"{unreadable} {'entry' if unreadable == 1 else 'entries'} of the list {'has' if unreadable == 1 else 'have'} "
            "no readable id.": bool(unreadable),
            f"{len(maybe)} {'task' if len(maybe) == 1 else 'tasks'} in the list could be this job.": bool(maybe),  # N4
            f"{missing} of this account, which the list should show, {'is' if missing == '1 task' else 'are'} missing from it.": (
                bool(missing)  # N5
            ),
            "The list shows none of our other tasks as we sent them, so it may not show this one.": (
                not self.recognised and not (self.trusted and not self.controls)
            ),
            "The answer's own date is old, so the list may be a copy from before the call.": self.is_a_copy,
            "The task may still begin: the wait is not over.": self.now < self.call.called_at + self.grace,  # N7
            "The list shows no unfinished task, so it may not show this one yet.": (
                not any(row.ended is False for row in self.rows) and self.now < self.call.called_at + self.takes
            ),
        }
        return [words for words, holds in reasons.items() if holds]

    @cached_property
    def _older(self) -> list[Known]:
        return [known for _, known in self.recognised if known.call.called_at < self.call.called_at]

    @cached_property
    def _newer(self) -> list[Known]:
        return [known for _, known in self.recognised if known.call.called_at >= self.call.called_at]

    @property
    def _is_walked_past(self) -> bool:
        return self.is_past or bool(self._older and (self.ordered or not self.has_times))

    def _missing(self) -> str:
        """Tasks that must be in what was read, for they were made after our call, or after the oldest of it, and are not."""
        seen = ids_of(self.pages)
        since = min(self.call.called_at, self._read_back_to())
        expected = [
            known
            for known in self.known
            if known.control and not known.gone and self._is_near(known) and known.call.called_at >= since
        ]
        count = sum(not known.names & seen for known in expected)
        return f"{count} {'task' if count == 1 else 'tasks'}" if count else ""

    def _read_back_to(self) -> float:
        """Since when, by our clock, everything was read: since a little after the oldest task that was."""
        made = [time for row in self.rows if (time := self.made(row)) is not None] if self.ordered and self.times_exclude else []
        called = [known.call.called_at for _, known in self.recognised]
        if made:
            return min(made) - (self.skew or 0.0) + SLACK
        return min(called, default=self.call.called_at)


def _even(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _letters(text: str) -> str:
    """Letters and digits alone: what is left of a text whose signs were escaped, made typographic, or dropped."""
    plain = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _bare(model: str) -> str:
    return model.strip().lower().rpartition("/")[2]


def _half_pairs(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)
