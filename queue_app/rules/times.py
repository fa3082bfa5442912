"""How long things may take, in seconds. They nest; a system check asserts it."""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Self


@dataclass(frozen=True)
class Times:
    """
    create call < submit lease < task < grace, and store task < store lease.

    ``hand_out`` is the lease between a claim and a worker that begins. After a create call of unknown outcome the provider's list
    is asked from ``first_look`` on; ``lookup_gap`` lies between two "none" answers. ``start_deadline``: until then after its call
    a task may begin, at a provider that can be told so.
    """

    sweep: float = 5
    hand_out: float = 20
    create_call: float = 30
    lease: float = 45
    task: float = 60
    first_look: float = 30
    grace: float = 120
    start_deadline: float = 300
    lookup_gap: float = 60
    store_task: float = 300
    store_lease: float = 330
    unknown: float = 24 * 3600

    def scaled(self, factor: float) -> Self:
        """The same nesting, shorter: for rehearsals of failures that would take minutes."""
        return type(self)(**{field.name: getattr(self, field.name) * factor for field in fields(self)})

    def problems(self) -> list[str]:
        chains = (("create_call", "lease", "task", "grace"), ("store_task", "store_lease"))
        return [
            f"{short} ({getattr(self, short):g}s) must be shorter than {long} ({getattr(self, long):g}s)"
            for chain in chains
            for short, long in pairwise(chain)
            if getattr(self, short) >= getattr(self, long)
        ]
