"""
Price drift: what providers charged for delivered attempts, beside what our price rules say now, by model and parameters.

Only charges that a provider reported count. Parameters that no price follows, such as the seed, are left out.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from queue_app.models import GenerationModel

LEFT_OUT = ["seed", "negative_prompt", "images", "loop"]
LINES_MOST = 500
TOLERATED = Decimal("0.05")  # of what the rule says; below it two prices count as the same
_CHARGED = """
    SELECT job.model_id, (job.parameters - %(left_out)s::text[])::text AS said, attempt.account_id,
           count(*), avg(attempt.cost), min(attempt.cost), max(attempt.cost), sum(attempt.cost), max(attempt.ended_at)
      FROM queue_app_attempt attempt
      JOIN queue_app_job job ON job.id = attempt.job_id
     WHERE attempt.cost_source = 'vendor' AND attempt.ended_at >= %(since)s AND attempt.ended_at < %(until)s
       AND attempt.outcome = 'delivered' AND attempt.preview = %(preview)s AND attempt.step = 'main'
     GROUP BY 1, 2, 3
     ORDER BY sum(attempt.cost) DESC, 1, 2, 3
     LIMIT %(most)s
"""


@dataclass(frozen=True)
class DriftLine:
    """
    Attempts of one model with the same parameters at one account. Amounts are US dollars per attempt; ``rule`` is what our price
    rule says now, ``None`` if the model is gone.
    """

    model: str
    parameters: dict[str, Any]
    account: str
    attempts: int
    charged: Decimal
    least: Decimal
    most: Decimal
    total: Decimal
    last_at: datetime
    rule: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """Return what the provider charges more than the rule says, or less, in percent of the rule."""
        return 100 * (self.charged - self.rule) / self.rule if self.rule else None

    @property
    def too_little(self) -> Decimal:
        """Return what the rule fell short of in all, US dollars; negative if it says too much."""
        return self.total - self.attempts * (self.rule or Decimal(0))

    @property
    def is_off(self) -> bool:
        if not self.rule:
            return bool(self.charged)
        return abs(self.charged - self.rule) > TOLERATED * self.rule


@dataclass(frozen=True)
class Drift:
    """The lines, highest cost first, and their sums."""

    lines: list[DriftLine]

    @property
    def attempts(self) -> int:
        return sum(line.attempts for line in self.lines)

    @property
    def charged(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def too_little(self) -> Decimal:
        return sum((line.too_little for line in self.lines), Decimal(0))

    @property
    def off(self) -> int:
        return sum(line.is_off for line in self.lines)


def of(since: datetime, until: datetime, *, preview: bool = False) -> Drift:
    """Compare what ended from ``since`` to before ``until``; with ``preview``, what the studio says it charged. 2 queries."""
    bounds: dict[str, Any] = {"since": since, "until": until, "preview": preview, "left_out": LEFT_OUT, "most": LINES_MOST}
    with connection.cursor() as cursor:
        cursor.execute(_CHARGED, bounds)
        rows: list[Any] = cursor.fetchall()
    models = GenerationModel.objects.in_bulk({row[0] for row in rows})
    return Drift([_line(row, models.get(row[0])) for row in rows])


def _line(row: Any, model: GenerationModel | None) -> DriftLine:
    key, text, account, attempts, charged, least, most, total, last_at = row
    said = json.loads(text)
    rule = model.pricing.usd_of(said) if model else None
    return DriftLine(key, said, account, attempts, charged, least, most, total, last_at, rule)
