"""Check the rules that must hold at every commit, against the rows in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection

from queue_app.insight.invariant_queries import OBJECTS, PARAMETERS, RULES, Rule
from queue_app.models import Asset

MOST_ROWS = 100  # of one rule: more rows say no more
FILES_AT_ONCE = 1_000


@dataclass(frozen=True)
class Offender:
    """A broken rule and the rows (at most 100) that break it."""

    rule: Rule
    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        shown = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in self.rows[:5])
        return f"{self.rule.id} {self.rule.sentence} Broken by {len(self.rows)}: {shown}"


def check(*, at: datetime | None, files: bool = False) -> list[Offender]:
    """
    Check every rule and return the broken ones. Rules that compare with the present are checked only if ``at`` is given; with
    ``files`` the object of each asset is looked up in the storage.
    """
    found = [Offender(rule, rows) for rule in _broken(at) if (rows := _offending(rule, at))]
    if files and (missing := _assets_without_object()):
        found.append(Offender(OBJECTS, missing))
    return found


def _broken(at: datetime | None) -> list[Rule]:
    """Return the rules that some rows break, in one statement: almost always none."""
    asked = [rule for rule in RULES if at or not rule.needs_time]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'EXISTS ({rule.sql})' for rule in asked)}", _parameters(at))
        return [rule for rule, is_broken in zip(asked, cursor.fetchone(), strict=True) if is_broken]


def _parameters(at: datetime | None) -> dict[str, Any]:
    return {**PARAMETERS, "at": at, "late": 2 * settings.TIMES.sweep}


def _offending(rule: Rule, at: datetime | None) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"{rule.sql} LIMIT {MOST_ROWS}", _parameters(at))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _assets_without_object() -> list[dict[str, Any]]:
    kept = Asset.objects.kept().order_by("pk").only("name", "job_id")
    missing = (asset for asset in kept.iterator(FILES_AT_ONCE) if not default_storage.exists(asset.name))
    return [
        {"id": str(asset.pk), "job": asset.job_id, "name": asset.name}
        for asset, _ in zip(missing, range(MOST_ROWS), strict=False)
    ]
