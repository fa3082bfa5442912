"""Time limits in seconds. A system check makes sure that they nest."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Self


@dataclass(frozen=True)
class Times:
    """
    Time limits in seconds, with ``create_call`` < ``lease`` < ``task`` < ``grace``, ``store_task`` < ``store_lease`` and
    ``delivery`` (of an outbox message) < ``delivery_lease``. Those that begin with ``long_`` are the same for create calls that
    synchronous providers answer only with the result.

    ``sweep`` is the interval of the recovery sweep. ``hand_out`` is the lease from a claim until a worker begins. A lost create
    call is looked up from ``first_look`` on; a proof of "none" counts after ``grace``, and a second one ``lookup_gap`` later. A
    job stays unknown for at most ``unknown``. ``start_deadline`` is how long after its call a task may begin, at providers that
    accept such a limit.
    """

    sweep: float = 5
    hand_out: float = 20
    create_call: float = 30
    lease: float = 45
    task: float = 60
    first_look: float = 30
    grace: float = 120
    long_create_call: float = 170
    long_lease: float = 200
    long_task: float = 230
    long_grace: float = 300
    start_deadline: float = 300
    lookup_gap: float = 60
    store_task: float = 300
    store_lease: float = 330
    delivery: float = 30
    delivery_lease: float = 90
    unknown: float = 24 * 3600

    def scaled(self, factor: float) -> Self:
        """Return all times multiplied by ``factor``, for tests of failures that would otherwise take minutes."""
        return type(self)(**{field.name: getattr(self, field.name) * factor for field in fields(self)})

    def problems(self) -> list[str]:
        chains = (
            ("create_call", "lease", "task", "grace"),
            ("long_create_call", "long_lease", "long_task", "long_grace"),
            ("store_task", "store_lease"),
            ("delivery", "delivery_lease"),
        )
        return [
            f"{short} ({getattr(self, short):g}s) must be shorter than {long} ({getattr(self, long):g}s)"
            for chain in chains
            for short, long in pairwise(chain)
            if getattr(self, short) >= getattr(self, long)
        ]
