"""The fields of a campaign as requested, and the checks of each field that need no row of the database."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queue_app.models import User
from queue_app.rules import priority
from queue_app.work import intake, ticket_budgets
from queue_app.work.endpoints import address_problem

TEXTS = ("brand", "product_category", "big_idea", "visual_messaging", "audio_messaging")
# what each of its jobs is made with; their values are the model's to check
PRODUCTION = (
    *("duration", "aspect_ratio", "resolution", "quality", "audio", "count", "loop", "seed", "negative_prompt"),
    "images",
)
MOST = {
    "name": 200,
    "brand": 100,
    "product_category": 200,
    "big_idea": 2_000,
    "visual_messaging": 2_000,
    "audio_messaging": 2_000,
}
AT_ONCE_MOST = 50
CLAUSE_MOST = 60  # characters of the big idea that make a name
_CLAUSE = re.compile(r"[.:;!?\n]")


@dataclass(frozen=True)
class Brief:
    """The fields of a campaign, from the body of an API call or from the form. Those of `PRODUCTION` are not checked yet."""

    name: str = ""
    brand: str = ""
    product_category: str = ""
    big_idea: str = ""
    visual_messaging: str = ""
    audio_messaging: str = ""
    dimensions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Sequence[Mapping[str, str]] = ()
    model: str = ""
    duration: Any = None
    aspect_ratio: Any = None
    resolution: Any = None
    quality: Any = None
    audio: Any = None
    count: Any = None
    loop: Any = None
    seed: Any = None
    negative_prompt: Any = None
    images: Any = None
    priority: int | None = None
    max_concurrent: int | None = None
    budget_tickets: int | None = None
    callback_url: str = ""
    start: str = "all"
    still_model: str = ""

    @property
    def title(self) -> str:
        """
        Return the name of the campaign: the one that was typed, or else the big idea up to its first full stop or colon if that
        is short enough for a name, or else the brand with its product.
        """
        clause = _CLAUSE.split(self.big_idea.strip(), maxsplit=1)[0].strip()
        fits = clause if len(clause) <= CLAUSE_MOST else ""
        product = self.product_category.strip()
        described = f"{self.brand.strip()}, {product}" if product else f"{self.brand.strip()} campaign"
        return self.name.strip() or f"{fits[:1].upper()}{fits[1:]}" or described[: MOST["name"]]


@dataclass(frozen=True)
class Problem:
    """A field that is refused, and the message to show at it."""

    field: str
    message: str


def problems(brief: Brief, owner: User) -> Iterator[Problem]:
    """Yield the problems of texts, numbers and addresses. The catalogue is not consulted."""
    yield from _of_texts(brief)
    yield from _of_numbers(brief, owner)
    if brief.callback_url and (problem := address_problem(brief.callback_url)):
        yield Problem("callback_url", problem)


def _of_texts(brief: Brief) -> Iterator[Problem]:
    if not brief.brand.strip():
        yield Problem("brand", "Choose a brand or type a new one.")
    if not brief.big_idea.strip():
        yield Problem("big_idea", "Add the big idea: what every video should show.")
    for name in MOST:
        if problem := text_problem(name, getattr(brief, name)):
            yield Problem(name, problem)


def text_problem(name: str, text: str) -> str | None:
    """Return the problem with the text of a field of `MOST`: too long, or not storable."""
    most = MOST[name]
    if len(text) > most:
        return f"Too long: {len(text):,} of {most:,} characters. Shorten it by {len(text) - most:,}."
    return intake.text_problem(text)


def _of_numbers(brief: Brief, owner: User) -> Iterator[Problem]:
    asked, at_once = brief.priority, brief.max_concurrent
    if asked is not None and not priority.LOWEST <= asked <= priority.HIGHEST:
        yield Problem("priority", priority.SPAN_MESSAGE)
    elif asked is not None and asked > priority.NORMAL and not owner.is_staff:
        yield Problem("priority", "Only staff can use high or urgent priority. Choose normal or low.")
    if at_once is not None and not 1 <= at_once <= AT_ONCE_MOST:
        words = f"Enter a whole number from 1 to {AT_ONCE_MOST}, or leave it empty for no limit."
        yield Problem("max_concurrent", words)
    if brief.budget_tickets is not None and (problem := ticket_budgets.problem(brief.budget_tickets)):
        yield Problem("budget_tickets", problem)
