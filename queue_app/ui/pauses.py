"""What forms ask of a pause: its reason, and when it ends by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTES = {"": "Until someone resumes it", "15": "15 minutes", "60": "1 hour", "240": "4 hours", "1440": "1 day"}
REASON_MOST = 200  # characters
NO_REASON = "Enter a reason. Everyone with a waiting job sees it."


@dataclass(frozen=True)
class Asked:
    """A pause as a form asks for it at ``at``; ``minutes`` is one of `MINUTES`."""

    at: datetime
    reason: str
    minutes: str

    @property
    def until(self) -> datetime | None:
        """When it ends by itself; ``None``: once it is resumed."""
        return self.at + timedelta(minutes=int(self.minutes)) if self.minutes else None


def asked(said: Mapping[str, str], *, at: datetime) -> Asked:
    """Read the fields ``reason`` and ``minutes`` of a form."""
    minutes = said.get("minutes", "")
    return Asked(at, said.get("reason", "").strip()[:REASON_MOST], minutes if minutes in MINUTES else "")
