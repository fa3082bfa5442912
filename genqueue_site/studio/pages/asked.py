"""What a prompt asks for, if it asks for a component of a web page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from genqueue_site.studio.pages.phrases import LANGUAGES

BLOCK = r"^(?P<fence>{} [0-9a-f]{{8,}})\n(?P<json>[^\n]*)\n(?P=fence)$"
ANY_WORDS = {"hero": (30, 60), "body": (220, 320), "faq": (80, 140), "meta": (0, 10_000)}  # if the task has no bounds
QUOTED = re.compile("“([^“”]+)”")  # in what was wrong
LONGEST_VALUE = 160  # characters of a value that is stated
# facts that say what to write, and not what is so
NO_FACTS = ("Brief", "Brand voice", "Keywords", "Question", "Related", "Link")


class Fact(NamedTuple):
    """What is known: the name of the product that it is about, its label and its value. A label may be empty."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    A component that a prompt asks for. ``low`` and ``high`` are its number of words, ``questions`` those that people ask,
    ``figures`` what was wrong with the last text, ``source`` all that the page may state. ``is_sparing``: the main keyword is
    used no more often than it must be.
    """

    kind: str
    language: str
    title: str
    keywords: tuple[str, ...]
    low: int
    high: int
    questions: tuple[str, ...]
    figures: tuple[str, ...]
    facts: tuple[Fact, ...]
    names: tuple[str, ...]
    source: str
    is_sparing: bool


def read(prompt: str) -> Asked | None:
    """Return the component that a prompt asks for; ``None`` if it asks for something else."""
    task, facts = _block("TASK", prompt), _block("FACTS", prompt)
    if task is None or facts is None:
        return None
    kind, language = _line(task.get("kind")), _line(task.get("language"))
    if kind not in ANY_WORDS or language not in LANGUAGES:
        return None
    products = [one for one in _list(facts.get("products")) if isinstance(one, dict) and _line(one.get("name"))]
    keywords = tuple(filter(None, map(_line, _list(task.get("keywords")))))
    names = tuple(_line(one["name"]) for one in products)
    title = _line(task.get("title")) or (names or keywords or ("?",))[0]
    main = (keywords or (title,))[0].casefold()
    low, high = _bounds(kind, _list(task.get("words")))
    figures = tuple(map(_line, _list(task.get("figures"))))
    faulty = [one for figure in figures for one in QUOTED.findall(figure)]
    lines = [*filter(None, map(_line, _list(facts.get("facts"))))]
    known = [*_of_products(products, lines)] or [*_of_lines(title, lines)]
    return Asked(
        kind=kind,
        language=language,
        title=title,
        keywords=keywords or (title,),
        low=low,
        high=high,
        questions=tuple(filter(None, map(_line, _list(task.get("questions"))))),
        figures=figures,
        facts=tuple(fact for fact in known if not any(one in fact.value for one in faulty)),
        names=names,
        source=json.dumps([task, facts], ensure_ascii=False),
        is_sparing=main in map(str.casefold, faulty) or any(main in name.casefold() for name in names),
    )


def _block(name: str, prompt: str) -> dict[str, Any] | None:
    """Return the JSON object of a block of the prompt, or ``None``."""
    found = re.search(BLOCK.format(name), prompt, re.MULTILINE)
    try:
        value = json.loads(found["json"]) if found else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _bounds(kind: str, words: Sequence[Any]) -> tuple[int, int]:
    """Return from how many to how many words a component may have."""
    low, high = words if len(words) == 2 and all(type(one) is int for one in words) else (0, 0)
    return (low, high) if high > 0 and kind != "meta" else ANY_WORDS[kind]


def _of_products(products: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> Iterator[Fact]:
    """Yield attributes, brand and price of each product. The lines tell the labels of the latter two in the page's language."""
    labels = {value: label.rpartition(", ")[2] for label, colon, value in (line.rpartition(": ") for line in lines) if colon}
    for product in products:
        name, attributes = _line(product["name"]), product.get("attributes")
        own = (_line(product.get("brand")), f"{_line(product.get('price'))} {_line(product.get('currency'))}".strip())
        rows = [*(attributes.items() if isinstance(attributes, dict) else ()), *((labels.get(value), value) for value in own)]
        for label, value in ((_line(label).rstrip(":"), _line(value).rstrip(".")) for label, value in rows):
            if label and value and len(value) <= LONGEST_VALUE:
                yield Fact(name, label, value)


def _of_lines(name: str, lines: Sequence[str]) -> Iterator[Fact]:
    """Yield the facts of a page without products that have some: lines, most of them with a label."""
    for line in lines:
        label, colon, value = line.partition(": ")
        if label not in NO_FACTS and len(line) <= LONGEST_VALUE and line != name:
            yield Fact(name, label, value.rstrip(".")) if colon else Fact(name, "", line)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(value: Any) -> str:
    """Return a text on one line; anything else as nothing."""
    return " ".join(value.encode("utf-8", "replace").decode().split()) if isinstance(value, str) else ""
