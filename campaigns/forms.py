"""Posts of the campaign form, read into the body of a draft, and bodies read into a brief. Refuses nothing that was typed."""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from campaigns import starts
from campaigns.brief import TEXTS, Brief
from campaigns.drafts import Body
from campaigns.rules import matrix
from campaigns.rules.matrix import Choice, Exclusion
from queue_app.rules import priority
from queue_app.rules.words import storable
from queue_app.ui import parameters
from queue_app.ui.parameters import Typed

FIELDS = ("name", *TEXTS, "model", *parameters.NAMES, "priority", "max_concurrent", "budget_tickets", "start", "still_model")
BLANK: Body = {**dict.fromkeys(FIELDS, ""), **Typed().body, "dimensions": {}, "exclude": []}
DIMENSION = "dim."  # prefix of the names of its checkboxes
EXCLUSIONS_MOST = 2_000
SHOWS = ("all", "blocked", "warn", "excluded")


@dataclass(frozen=True)
class Asked:
    """One post of the form: the body, its draft, the button that was pressed, and the part of the matrix to show."""

    body: Body
    draft: uuid.UUID
    revision: int
    tab: str
    do: str
    matrix_filter: str = ""
    show: str = "all"
    page: int = 1
    value: tuple[str, str] = ("", "")
    rendered_model: str = ""
    told: tuple[int, int] | None = None
    """The number of videos and of tickets on the launch button."""
    polish_told: int = 0
    """The number of tickets on the button that polishes."""
    polish_failed: int = 0
    """The number of the job whose failed polishing the page shows."""
    seen: str = ""
    """The token of the polishing that the page shows."""


def read(post: QueryDict) -> Asked:
    """Read a post. A value that the page cannot have sent is read as empty."""
    do = _text(post, "do") or "update"
    draft, _, revision = (
        _text(post, "other") if do == "keep" else f"{_text(post, 'draft')}:{_text(post, 'revision')}"
    ).partition(":")
    dimension, _, value = _text(post, "value").partition("=")
    show = "blocked" if do == "show-blocked" else _text(post, "show")
    show = show if show in SHOWS else "all"
    words = _text(post, "filter")[:200]
    page = do.removeprefix("page-") if do.startswith("page-") else _text(post, "page")
    if _text(post, "paged_for") != f"{show} {words}":
        page = "1"
    return Asked(
        body={
            **{name: _text(post, name) for name in FIELDS},
            **parameters.read(post).body,
            "dimensions": _dimensions(post),
            "exclude": _exclusions(post),
        },
        draft=_uuid(draft),
        revision=_number(revision),
        tab=_text(post, "tab")[:36],
        do=do,
        matrix_filter=words,
        show=show,
        page=_number(page),
        value=(dimension, value),
        rendered_model=_text(post, "rendered_model"),
        told=(_number(_text(post, "told_count")), _number(_text(post, "told_tickets"))) if "told_count" in post else None,
        polish_told=_number(_text(post, "polish_tickets")),
        polish_failed=_number(_text(post, "polish_failed")),
        seen=_text(post, "seen")[:64],
    )


def brief(body: Body) -> Brief:
    """Return a body as a brief. A number that can't be read becomes one that the checks refuse with the right message."""
    texts = {name: body.get(name, "") for name in ("name", *TEXTS, "model")}
    start = body.get("start") or starts.ALL
    return Brief(
        **texts,
        dimensions=body.get("dimensions", {}),
        exclude=body.get("exclude", []),
        **Typed.of(body).parameters,
        priority=whole(body.get("priority", ""), wrong=priority.HIGHEST + 1),
        max_concurrent=whole(body.get("max_concurrent", ""), wrong=0),
        start=start,
        still_model=body.get("still_model", "") if start == starts.STORYBOARD else "",
        budget_tickets=whole(body.get("budget_tickets", ""), wrong=0),
    )


def choices_of(dimensions: Mapping[str, Sequence[str]]) -> list[Choice]:
    """Return choices with keys as labels."""
    return [Choice(key, key, tuple((value, value) for value in values)) for key, values in dimensions.items() if values]


def exclusions_for(body: Body, choices: Sequence[Choice], excluded: Collection[str]) -> list[Exclusion]:
    """
    Return the body's exclusions, changed so that exactly the cells with these keys are excluded from the matrix of ``choices``.
    Exclusions of values that are not chosen are kept: they apply again once the values are chosen again.
    """
    before = body["exclude"]
    applying = matrix.still_apply(choices, before)
    dormant = [one for one in before if one not in applying]
    return ([*matrix.compact(choices, excluded), *dormant])[:EXCLUSIONS_MOST]


def _dimensions(post: QueryDict) -> dict[str, list[str]]:
    names = [name for name in post if name.startswith(DIMENSION)]
    return {name.removeprefix(DIMENSION): list(dict.fromkeys(map(storable, post.getlist(name)))) for name in names}


def _exclusions(post: QueryDict) -> list[Exclusion]:
    """
    Return the exclusions that the page carries, changed by the checkboxes of its rows: ``matrix`` has the choices that the rows
    were made from, ``shown`` the numbers of the rows with a checkbox, ``in`` those of the ticked ones.
    """
    carried = _listed(_json(post, "exclude"))
    choices = choices_of(_rendered(_json(post, "matrix")))
    shown = _numbers(_text(post, "shown").split(","))
    if not shown or not 0 < matrix.count(choices) <= matrix.MAX_CELLS:
        return carried
    kept = {cell.index for cell in matrix.cells(choices, matrix.still_apply(choices, carried))}
    wanted = (kept - shown) | (shown & _numbers(post.getlist("in")))
    if wanted == kept:
        return carried
    out = [cell.key for cell in matrix.cells(choices) if cell.index not in wanted]
    return exclusions_for({"exclude": carried}, choices, out)


def _rendered(found: Any) -> dict[str, list[str]]:
    if not isinstance(found, dict):
        return {}
    return {
        str(key): list(dict.fromkeys(map(str, values))) for key, values in found.items() if isinstance(values, list) and values
    }


def _listed(found: Any) -> list[Exclusion]:
    rows = found if isinstance(found, list) else []
    whole = [row for row in rows if isinstance(row, dict) and row][:EXCLUSIONS_MOST]
    return [{storable(str(key)): storable(str(value)) for key, value in row.items()} for row in whole]


def _json(post: QueryDict, name: str) -> Any:
    try:
        return json.loads(post.get(name) or "null")
    except (ValueError, RecursionError):
        return None


def _text(post: QueryDict, name: str) -> str:
    return storable(post.get(name) or "").replace("\r\n", "\n")


def _numbers(texts: Iterable[str]) -> set[int]:
    return {_number(text) for text in texts} - {0}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def whole(text: str, *, wrong: int) -> int | None:
    """Return the typed number; ``None`` if nothing was typed, ``wrong`` if it is no whole number."""
    text = text.strip()
    if not text:
        return None
    digits = text.removeprefix("-").removeprefix("−")
    number = _number(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
    return wrong if number is None else number if digits == text else -number


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()
