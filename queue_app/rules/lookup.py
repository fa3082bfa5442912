"""
Judgement of a provider's task list after a create call whose answer was lost (docs/invariants.md, failure policy).

Adapters convert pages to rows; only this module interprets them. Gateways may change, omit or invent entries, so nothing is
believed without proof. A task counts as found only if a row is certainly this task. It counts as absent ("none") only if the list
shows another task of ours as we sent it (the positive control), so that it would have shown this one, too. What keeps "none" from
being proved is returned in words, for a person.
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

from queue_app.rules.words import is_storable

# seconds
BEFORE, AFTER = 60.0, 180.0  # window around the create call if the provider's clock is known
UNKNOWN_CLOCK, WRONG_CLOCK = 15 * 60.0, 3600.0
NEAR = 15 * 60.0  # a task with the same prompt so far outside the window may still be this one
SLACK = 60.0  # tolerance for the order of a list that is newest first, and for the age of an answer's date
CONTROL_WITHIN = 6 * 3600.0
EARLIEST, A_DAY = 1_672_531_200.0, 86_400.0  # 2023: no video API is older
LONG_ENOUGH = 64  # least length of our prompt for a longer text that begins with it to be our prompt with an addition
LONGEST_ID = 4_096
NO_ID = "0"  # sent by gateways for an unknown id
SOON = 3.0  # seconds in which no gateway can lose its list, restart and accept the next call
SHOWN = 10  # most rows shown to a person

_ELLIPSIS = re.compile(r"…|\.\.\.")
_SNAPSHOT = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|:[\w.]+|@\d+)$")


@dataclass(frozen=True)
class Row:
    """
    One task in a list, as sent by the gateway; ``None`` or blank if it does not say. ``id`` is text (see `task_id`), ``names``
    are all names of the task including its id, ``ended`` is whether its state is terminal.
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
    One page of a list. ``asked`` is the number of rows requested, ``more`` is what the answer says about a next page, ``date`` is
    the answer's own time in seconds since 1970. ``cursor`` is where the next page begins, for lists that use their own marks and
    not a task's id.
    """

    rows: Sequence[Row] = ()
    asked: int = 0
    more: bool | None = None
    date: float | None = None
    cursor: str | None = None


@dataclass(frozen=True)
class Call:
    """A create call: the prompt, the endpoint (``model``) and the time, in seconds since 1970 by our clock."""

    prompt: str
    model: str
    called_at: float


@dataclass(frozen=True)
class Known:
    """A task of another attempt of this account. ``control`` is whether the answer to its create call contained its id."""

    names: frozenset[str]
    call: Call
    control: bool = False
    gone: bool = False  # cancelled by us, so the list may leave it out


@dataclass(frozen=True)
class Lookup:
    """Result of a walk: rows that are ours (``sure``) or could be (``maybe``), whether "none" is proved, and if not, why."""

    sure: list[Row] = field(default_factory=list)
    maybe: list[Row] = field(default_factory=list)
    none_proved: bool = False
    why_not: list[str] = field(default_factory=list)
    proof: dict[str, Any] = field(default_factory=dict)


class Likeness(Enum):
    SAME, WEAK, DIFFERENT, UNKNOWN = range(4)


def task_id(value: Any) -> str | None:
    """
    Return an id of any JSON type as text; a number becomes its decimal text. Return ``None`` for null, booleans, 0, objects, more
    than 4,096 characters, and text that a column can't store.
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
    readable = 0 < len(text) <= LONGEST_ID and text.strip() not in {"", NO_ID} and is_storable(text)
    return text if readable else None


def moment(value: Any, *, now: float) -> float | None:
    """
    Return a time in seconds since 1970, from seconds, milliseconds or microseconds, as a number or text, or from ISO 8601.

    Return ``None`` for anything else, and for times before 2023 or more than a day after ``now``.
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
    Compare prompts, ignoring differences that gateways introduce in Unicode form, line breaks and white space.

    WEAK if the listed prompt may be ours shortened, with an addition, or with other punctuation or capitals.
    """
    if listed is None or not listed.strip():
        return Likeness.UNKNOWN
    if _even(ours) == _even(listed):
        return Likeness.SAME
    one, other = _letters(ours), _letters(_ELLIPSIS.split(listed)[0])
    is_longer = len(one) >= LONG_ENOUGH and other.startswith(one)
    return Likeness.WEAK if one.startswith(other) or is_longer else Likeness.DIFFERENT


def same_model(ours: str, listed: str | None, aliases: Mapping[str, str]) -> Likeness:
    """
    Compare model names, ignoring case, a prefix such as a vendor, and a snapshot suffix.

    ``aliases`` maps the provider's names to ours.
    """
    if not listed:
        return Likeness.UNKNOWN
    listed = aliases.get(listed, listed)
    one, other = _bare(ours), _bare(listed)
    return Likeness.SAME if one == other or _SNAPSHOT.sub("", one) == _SNAPSHOT.sub("", other) else Likeness.DIFFERENT


def ids_of(pages: Iterable[Page]) -> set[str]:
    """Return all names of tasks in these pages, for looking up their attempts."""
    return {name for page in pages for row in page.rows for name in row.all_names()}


@dataclass
class Walk:
    """
    The pages read of a list, newest first, and their judgement for one create call.

    ``trusted``: an operator vouches for this list; replaces the positive control, nothing else. ``grace``: seconds after the call
    until its task can't start any more. ``takes``: seconds that such a task rarely exceeds. ``is_first``: the account has no task
    from before the call.
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
    dates: Sequence[float] = ()  # seconds by which each page's date was ahead of our clock
    budget_spent: bool = False
    end_is_shown: bool = False

    def and_then(self, page: Page, known: Sequence[Known], *, now: float) -> Walk:
        """Return the walk with one more page, read ``now``, and the ``known`` tasks in it."""
        names = {name for one in self.known for name in one.names}
        more = [one for one in known if not one.names & names]
        dates = self.dates if page.date is None else [*self.dates, page.date - now]
        return replace(self, pages=[*self.pages, page], known=[*self.known, *more], dates=dates)

    def and_no_further(self) -> Walk:
        return replace(self, budget_spent=True)

    @property
    def to_ask_for(self) -> int:
        """
        Return the number of rows to request as a test that the list respects such limits: half of its first page, or 0 if the
        test would prove nothing.

        Before an account's first call its list has no older task to serve as a control. A certain end of the list replaces it if
        a known task was accepted so soon after the call that the gateway can't have lost its list in between; a gateway that was
        restarted would otherwise look the same.
        """
        newer = [known.call.called_at - self.call.called_at for known in self._newer]
        is_provable = self.is_first and self.reached_the_end and min(newer, default=SOON) < SOON
        return len(self.pages[0].rows) // 2 if is_provable else 0

    def and_its_end(self, some: Page, beyond: Page) -> Walk:
        """
        Return the walk with the result of the test: ``some`` is a page of `to_ask_for` rows, ``beyond`` the page after the end.

        A list that returns as many rows as requested, then reports more, and has nothing after its end was not cut short.
        """
        counts = len(some.rows) == self.to_ask_for and some.more is True
        return replace(self, end_is_shown=counts and not beyond.rows and beyond.more is not True)

    # --- reading ----------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[Row]:
        """Return each task once, in the order of the list; pages may overlap."""
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
        """Return the seconds by which the list's clock is ahead of ours, by its known tasks or else by its answers' dates."""
        apart = [made - owner.call.called_at for row in self.rows if (owner := self.owner(row)) and (made := self.made(row))]
        return median(apart) if apart else median(self.dates) if self.dates else None

    def made(self, row: Row) -> float | None:
        return moment(row.made, now=self.now)

    def window(self, call: Call) -> tuple[float, float]:
        """Return the earliest and latest creation time of this call's task by the list's clock."""
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
        """Whether all rows have a time and the list is newest first, within `SLACK`."""
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
        """Return the rows of tasks that this account certainly has, called near our call."""
        found = ((row, self.owner(row)) for row in self.rows)
        return [(row, known) for row, known in found if known and known.control and self._is_near(known)]

    def _is_near(self, known: Known) -> bool:
        return abs(known.call.called_at - self.call.called_at) <= CONTROL_WITHIN

    @cached_property
    def recognised(self) -> list[tuple[Row, Known]]:
        """Return the controls that this judgement would find by their request, as it would find our task."""
        return [(row, known) for row, known in self.controls if self._would_find(row, known)]

    def _would_find(self, row: Row, known: Known) -> bool:
        if row.shows_prompt and same_prompt(known.call.prompt, row.prompt) is not Likeness.SAME:
            return False
        if same_model(known.call.model, row.model, self.aliases) is Likeness.DIFFERENT:
            return False
        if not row.shows_prompt and self.made(row) is None:
            return False  # without prompt and time, nothing identifies a task
        made = self.made(row)
        first, last = self.window(known.call)
        return made is None or not self.times_exclude or first <= made <= last

    @cached_property
    def prompts_tell(self) -> bool:
        """
        Whether a different prompt means a different task, because the list shows our other prompts as they were sent.

        If our prompt is not plain ASCII, at least one of those must not be either.
        """
        shown = [(row, known) for row, known in self.controls if row.shows_prompt]
        faithful = all(same_prompt(known.call.prompt, row.prompt) is Likeness.SAME for row, known in shown)
        as_hard = [known for _, known in shown if self.call.prompt.isascii() or not known.call.prompt.isascii()]
        return faithful and (bool(as_hard) or self.trusted)

    @cached_property
    def models_tell(self) -> bool:
        """Whether a different model name means a different task, because the list shows tasks of our model under our name."""
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
        """Whether this row may be our task, because nothing shows that it is another one."""
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
        Whether the last page is certainly the end: it says so and has fewer rows than requested, or it is empty (a first page
        must also say so). A page that does not mention a next one is no end, nor is a full page, whatever it says.
        """
        if not self.pages:
            return False
        last = self.pages[-1]
        if not last.rows:
            return len(self.pages) > 1 or last.more is False
        return last.more is False and len(last.rows) < last.asked and not self.repeats

    @property
    def repeats(self) -> bool:
        """Whether the last page has only known tasks: the list ignores the position from which to continue."""
        if len(self.pages) < 2 or not self.pages[-1].rows:
            return False
        return ids_of(self.pages[-1:]) <= ids_of(self.pages[:-1])

    @property
    def is_a_copy(self) -> bool:
        """Whether an answer comes from a cache: its date lags behind our clock, and the clock of the tasks does not."""
        lag = min(self.dates, default=0.0)
        return lag < -SLACK and (self.skew is None or lag < self.skew - SLACK)

    @property
    def is_past(self) -> bool:
        """Whether the list is newest first and has been read to a row that is older than our task can be."""
        if not self.ordered:
            return False
        first = self.window(self.call)[0] - NEAR
        made = [self.made(row) for row in self.rows]
        return self.times_exclude and any(time is not None and time < first for time in made)

    @property
    def is_over(self) -> bool:
        """Whether further pages would add nothing, or can't be read."""
        if self.budget_spent or not self.pages:
            return self.budget_spent
        if self.repeats or self.reached_the_end:
            return True
        return self.is_past and bool(self.controls or self.trusted)

    def judge(self) -> Lookup:
        """Return the judgement of the pages read."""
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
                not self._is_walked_past and not (self.reached_the_end and (both_sides or self.end_is_shown))
            ),
            "The end of the list is not certain: "
            + ("it shows the same tasks again." if self.repeats else "it does not say that there is no more."): (
                not self.reached_the_end and not (self.ordered and self._is_walked_past)
            ),
            "The list has no times, or is not newest first, and no known task is on each side of the call.": (
                not self.ordered and not both_sides
            ),
            "The list is too long to be read to its end.": self.budget_spent,
            f"{unreadable} {'entry' if unreadable == 1 else 'entries'} of the list {'has' if unreadable == 1 else 'have'} "
            "no readable id.": bool(unreadable),
            f"{len(maybe)} {'task' if len(maybe) == 1 else 'tasks'} in the list could be this job.": bool(maybe),
            f"{missing} of this account, which the list should show, {'is' if missing == '1 task' else 'are'} missing from it.": (
                bool(missing)
            ),
            "The list shows none of our other tasks as we sent them, so it may not show this one.": (
                not self.recognised and not (self.trusted and not self.controls)
            ),
            "The answer's own date is old, so the list may be a copy from before the call.": self.is_a_copy,
            "The task may still begin: the wait is not over.": self.now < self.call.called_at + self.grace,
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
        """Return in words how many tasks are missing: called since our call or since the oldest row, but not in the list."""
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
        """Return the time, by our clock, since which all tasks were read: shortly after the oldest row."""
        made = [time for row in self.rows if (time := self.made(row)) is not None] if self.ordered and self.times_exclude else []
        called = [known.call.called_at for _, known in self.recognised]
        if made:
            return min(made) - (self.skew or 0.0) + SLACK
        return min(called, default=self.call.called_at)


def _even(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _letters(text: str) -> str:
    """Return only the letters and digits of a text: they survive escaped, typographic or removed punctuation."""
    plain = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _bare(model: str) -> str:
    return model.strip().lower().rpartition("/")[2]
