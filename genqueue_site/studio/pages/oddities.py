"""What models and gateways do to the JSON that was asked of them, as tables of names and functions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from genqueue_site.studio.pages.asked import Asked
from genqueue_site.studio.pages.components import Content, write
from genqueue_site.studio.pages.phrases import LANGUAGES

CUT_OFF = "cut_off"  # the one that says so: it ends for its length
# where the last text of a component is
LAST_TEXTS: Mapping[str, tuple[str | int, ...]] = {
    "hero": ("lead",),
    "body": ("sections", -1, "paragraphs", -1),
    "faq": ("questions", -1, "answer"),
    "meta": ("description",),
}


def answer(asked: Asked, seed: int, oddity: str = "") -> str:
    """Return the JSON of a component, or what an oddity makes of it."""
    text = json.dumps(ODD_CONTENTS.get(oddity, write)(asked, seed), ensure_ascii=False)
    return ODD_TEXTS[oddity](text) if oddity in ODD_TEXTS else text


def _half(text: str) -> str:
    return text[: len(text) // 2]


def _in_another_language(asked: Asked, seed: int) -> Content:
    """Return the content of a component in a language that was not asked for."""
    codes = [code for code in LANGUAGES if code != asked.language]
    return write(replace(asked, language=codes[seed % len(codes)]), seed)


def _with_an_invention(asked: Asked, seed: int) -> Content:
    """Return the content of a component with a figure that no fact has."""
    content, phrases = write(asked, seed), LANGUAGES[asked.language]
    numbers = random.Random(seed).sample(range(211, 990), 99)
    figure = next(f"{number} kg" for number in numbers if str(number) not in asked.source)
    label = asked.facts[0].label if asked.facts else asked.title
    invention = phrases.entries[0].format(label=label.join(phrases.marks), value=figure)
    *path, last = LAST_TEXTS[asked.kind]
    place: Any = content
    for step in path:
        place = place[step]
    place[last] += phrases.gap + invention
    return content


ODD_TEXTS: Mapping[str, Callable[[str], str]] = {
    "fenced": lambda text: f"```json\n{text}\n```",
    "introduced": lambda text: f"Sure! Here is the JSON you asked for:\n\n{text}",
    "trailing_comma": lambda text: f"{text[:-1]},}}",
    CUT_OFF: _half,
    "cut_silently": _half,
}
ODD_CONTENTS: Mapping[str, Callable[[Asked, int], Content]] = {
    "wrong_language": _in_another_language,
    "invented": _with_an_invention,
}
ODDITIES = (*ODD_TEXTS, *ODD_CONTENTS)
