"""Results of the lookups for a lost create call, for the staff who decide: what was found, and why it proves nothing."""

from datetime import UTC, datetime
from typing import Any

from queue_app.models import Attempt
from queue_app.rules.lookup import moment

TIMES = {1: "once", 2: "twice"}


def in_short(attempt: Attempt) -> str:
    """Return the result of all lookups in a few words, for a list."""
    if attempt.lookups and attempt.lookups[-1]["took"]:  # the task was found, whatever earlier lookups returned
        return "found in the task list"
    if not attempt.account.can_look_up:
        return "this account can't look up tasks"
    if not attempt.lookups:
        return "not checked yet"
    if attempt.lookups_none:
        return f"not found, checked {TIMES.get(attempt.lookups_none, f'{attempt.lookups_none} times')}"
    return "checked, no clear match"


def shown(attempt: Attempt) -> list[dict[str, Any]]:
    """
    Return each stored lookup, the last first: when, how far it read, what it found, and why that proves nothing. ``id`` is stable
    and unique on the page of the job.
    """
    return [
        {
            "id": f"{attempt.number}-{datetime.fromisoformat(seen['at']).timestamp() * 1000:.0f}",
            "at": datetime.fromisoformat(seen["at"]),
            "said": _said(seen),
            "read": _read(seen["proof"]),
            "why_not": seen["why_not"],
            "maybe": [row | {"made": _made(row["made"], seen["at"])} for row in seen["maybe"]],
        }
        for seen in reversed(attempt.lookups)
    ]


def _made(told: Any, seen_at: str) -> datetime | None:
    """Return when a task was created by the provider's clock, if that can be read."""
    seconds = moment(told, now=datetime.fromisoformat(seen_at).timestamp())
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _said(seen: dict[str, Any]) -> str:
    if seen["took"]:
        return f"Found: {seen['took'][:200]}"
    if seen["none"]:
        rests_on = ", ".join(name[:80] for name in seen["proof"]["controls"][:3])
        because = f"The list shows our other tasks: {rests_on}" if rests_on else "Staff trust this account's task list"
        return f"Not found. {because}"
    return "Not found, but too early to count" if not seen["why_not"] and not seen["sure"] else "No clear match"


def _read(proof: dict[str, Any]) -> str:
    if not proof:
        return ""
    entries, pages = ("entry" if proof["rows"] == 1 else "entries"), ("page" if proof["pages"] == 1 else "pages")
    rows = f"{proof['rows']} {entries} on {proof['pages']} {pages}"
    skew = proof["skew"]
    if skew is None or abs(skew) < 60:
        return rows
    return f"{rows}, provider clock {abs(skew) / 60:.0f}m {'ahead' if skew > 0 else 'behind'}"
