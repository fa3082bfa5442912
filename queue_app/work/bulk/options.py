"""Options of bulk verbs: what staff may choose besides the jobs and the reason, how it is checked and how it is shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from django.db.models import Max

from queue_app.models import User
from queue_app.rules import numbers, priority
from queue_app.work.bulk.selection import Selection
from queue_app.work.roles import Right

ANY = 10**9  # tickets: no limit but the column's


class BulkRefused(Exception):
    """A request that a bulk action cannot fulfil, in words for the person who made it. Nothing was written."""


class Option(ABC):
    """A field of the preview's form (``bulk_preview.html``), kept in the action's ``options`` under ``name``."""

    name: str
    default: Any = ""
    right: Right | None = None  # needed to choose it, besides the right to use the verb
    not_allowed = "You don't have permission to choose this."
    reason: str = "optional"  # whether the form asks for a reason because of it
    is_foreseen = False  # the preview depends on it, so another value must be previewed before it is confirmed

    @abstractmethod
    def read(self, given: Mapping[str, Any], *, most: int = ANY) -> dict[str, Any]:
        """
        Return the option as it is kept in the record; empty if it is not among the fields ``given``.

        :raises BulkRefused: the value makes no sense, or is a number above ``most``.
        """

    @abstractmethod
    def said(self, value: Any) -> str:
        """Return the chosen value in words, for the page of the action."""

    def check(self, options: Mapping[str, Any], *, actor: User, reason: str) -> None:
        """
        Check the kept options when ``actor`` confirms the action.

        :raises BulkRefused: it is missing, not allowed, or needs a reason.
        """
        if options.get(self.name) and not self.may(actor):
            raise BulkRefused(self.not_allowed)

    def most(self, chosen: Selection) -> int:
        """Return the largest number that makes sense for these jobs."""
        return ANY

    def may(self, user: User) -> bool:
        """Whether this user may choose it."""
        return self.right is None or user.has_perm(self.right)


class NumberOption(Option):
    """A whole number."""

    label: str
    lowest: int
    highest: int

    def read(self, given: Mapping[str, Any], *, most: int = ANY) -> dict[str, Any]:
        value = given.get(self.name)
        if value in (None, ""):
            return {}
        highest = min(self.highest, most)
        try:
            number = int(str(value))
        except ValueError:
            number = self.lowest - 1
        if not self.lowest <= number <= highest:
            raise BulkRefused(
                f"{self.label} must be a whole number from {self.lowest:,} to {highest:,}, not “{str(value)[:40]}”."
            )
        return {self.name: number}


class NewPriority(NumberOption):
    name, label = "priority", "Priority"
    lowest, highest, default = priority.LOWEST, priority.HIGHEST, priority.HIGH
    levels = tuple(priority.NAMES.items())

    def check(self, options: Mapping[str, Any], *, actor: User, reason: str) -> None:
        if self.name not in options:
            raise BulkRefused("Choose a priority.")

    def said(self, value: int) -> str:
        return f"priority {priority.name(value).lower()}"


class TicketsPerJob(NumberOption):
    """How many tickets of each charge are refunded; all that is left of it if empty."""

    name, label = "tickets", "Tickets per job"
    lowest, highest = 1, ANY
    is_foreseen = True

    def most(self, chosen: Selection) -> int:
        return chosen.charged().aggregate(most=Max("still"))["most"] or 1

    def said(self, value: int) -> str:
        return f"{numbers.counted(value, 'ticket')} per job"


class RefundPromise(Option):
    """Whether jobs that can't be stopped are refunded if they are delivered."""

    name = "refund"
    right = Right.MOVE_TICKETS
    not_allowed = "You can't promise refunds. Ask Finance, or cancel without one."
    reason = "required for a refund"

    def read(self, given: Mapping[str, Any], *, most: int = ANY) -> dict[str, Any]:
        return {self.name: True} if given.get(self.name) else {}

    def check(self, options: Mapping[str, Any], *, actor: User, reason: str) -> None:
        super().check(options, actor=actor, reason=reason)
        if options.get(self.name) and not reason:
            raise BulkRefused("Enter a reason for the refund. It is saved in the ledger.")

    def said(self, value: bool) -> str:
        return "refund if delivered"
