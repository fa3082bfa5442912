"""
The prompt of a cell: ``big idea. visual messaging. Style: …. Type: …. Mood: …. Intention: …. Target: …. Funnel: …. Audio: ….
Brand: …. Voice: …. Product: …``, then the dimensions that staff added.

Dimensions with the same prompt label share one part: age, gender and the like become one ``Target``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from campaigns.rules.matrix import Choice

MAX_CHARACTERS = 32_000

DimensionWords = Mapping[str, str]
"""Dimension key → the label at the beginning of its part of the prompt."""

# In the order of the prompt.
PROMPT_LABELS: DimensionWords = MappingProxyType(
    {
        "aesthetic": "Style",
        "type": "Type",
        "mood": "Mood",
        "intention": "Intention",
        "age_generation": "Target",
        "gender": "Target",
        "orientation": "Target",
        "life_stage": "Target",
        "ethnicity": "Target",
        "funnel_level": "Funnel",
        "audio_style": "Audio",
    }
)

# Unpaired surrogates and control characters can be neither stored nor sent. Tabs and line ends count as spaces.
_UNSENDABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLOSERS = "\"'”’»)]"  # may follow the mark at the end of a sentence
_MARKS = " .,;:"


@dataclass(frozen=True, slots=True)
class BriefTexts:
    """The texts of a brief that all prompts share, as typed."""

    brand: str = ""
    brand_voice: str = ""
    product_category: str = ""
    big_idea: str = ""
    visual_messaging: str = ""
    audio_messaging: str = ""


class PromptTooLong(ValueError):
    """The prompt is above ``MAX_CHARACTERS``. ``field`` is the longest text of the brief, ``excess`` the characters to cut."""

    def __init__(self, brief: BriefTexts, length: int) -> None:
        self.field = max((field.name for field in fields(brief)), key=lambda name: len(getattr(brief, name)))
        self.excess = length - MAX_CHARACTERS
        super().__init__(
            f"The prompt is {length:,} characters; the limit is {MAX_CHARACTERS:,}. "
            f"Shorten the {self.field.replace('_', ' ')} by {self.excess:,}."
        )


class UnknownWords(LookupError):
    """A cell names a dimension or a value without a label."""


class _Part:
    """One part of the prompt: ``label: values of the cell, texts of the brief``. Without a label it is a sentence."""

    def __init__(self, label: str, words: Mapping[str, Mapping[str, str]], said: Iterable[str]) -> None:
        self._label = label
        self._words = words
        self._said = [text for text in said if text]
        self._dimensions = tuple(words)
        self._written: dict[tuple[str | None, ...], str] = {}  # many cells share a sentence

    def write(self, cell_values: Mapping[str, str]) -> str:
        """Return the sentence for a cell; empty if neither the cell nor the brief has anything for this part."""
        taken = tuple([cell_values.get(dimension) for dimension in self._dimensions])
        if taken not in self._written:
            self._written[taken] = self._sentence(taken)
        return self._written[taken]

    def _sentence(self, taken: tuple[str | None, ...]) -> str:
        items: list[str] = []
        for dimension, value in zip(self._dimensions, taken, strict=True):
            if value is not None:
                if value not in self._words[dimension]:
                    raise UnknownWords(f"No prompt text for “{value}” in {dimension}.")
                items.append(self._words[dimension][value])
        items += self._said
        if not items:
            return ""
        text = " ".join([*(_closed(item, ",") for item in items[:-1]), _closed(items[-1], ".")])
        return f"{self._label}: {text}" if self._label else text


class PromptBuilder:
    """
    Builds the prompts of one campaign. Parts that cells share are written once, so a cell takes microseconds.

    ``choices`` have the labels of values, ``words`` the prompt labels that staff set for dimensions. Without one, a seeded
    dimension uses that of ``PROMPT_LABELS`` and any other its own label.
    """

    def __init__(self, brief: BriefTexts, choices: Iterable[Choice], words: DimensionWords = PROMPT_LABELS) -> None:
        self._brief = brief
        chosen = {choice.key: choice for choice in choices}
        self._known = chosen.keys()
        self._parts = _parts(brief, chosen, words)

    def build(self, cell_values: Mapping[str, str]) -> str:
        """
        Return the prompt of a cell, given as dimension key → value key.

        :raises UnknownWords: the cell has a dimension or a value that is not among the choices.
        :raises PromptTooLong: the prompt is above ``MAX_CHARACTERS``.
        """
        if not cell_values.keys() <= self._known:
            raise UnknownWords(f"No prompt text for {', '.join(sorted(cell_values.keys() - self._known))}.")
        prompt = " ".join(filter(None, [part.write(cell_values) for part in self._parts]))
        if len(prompt) > MAX_CHARACTERS:
            raise PromptTooLong(self._brief, len(prompt))
        return prompt


def build(
    brief: BriefTexts, cell_values: Mapping[str, str], choices: Sequence[Choice], words: DimensionWords = PROMPT_LABELS
) -> str:
    """Return one prompt, as :meth:`PromptBuilder.build`. For a whole matrix, use one :class:`PromptBuilder`."""
    return PromptBuilder(brief, choices, words).build(cell_values)


def _parts(brief: BriefTexts, chosen: Mapping[str, Choice], words: DimensionWords) -> list[_Part]:
    """Return all parts in the order of the prompt. For a cell, some of them may be empty."""
    dimensions: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}

    def label_of(key: str) -> str:
        own = chosen[key].label if key in chosen else ""
        return _tidy(words.get(key, "")) or PROMPT_LABELS.get(key, "") or _tidy(own) or key

    for key in PROMPT_LABELS:
        dimensions.setdefault(label_of(key), []).append(key)
    for label, text in (
        (label_of("audio_style"), brief.audio_messaging),
        ("Brand", brief.brand),
        ("Voice", brief.brand_voice),
        ("Product", brief.product_category),
    ):
        dimensions.setdefault(label, [])
        said.setdefault(label, []).append(_tidy(text))
    for key in chosen:
        if key not in PROMPT_LABELS:
            dimensions.setdefault(label_of(key), []).append(key)

    texts = {key: {value: _tidy(label) or value for value, label in choice.values} for key, choice in chosen.items()}
    opening = [_Part("", {}, [_tidy(text)]) for text in (brief.big_idea, brief.visual_messaging)]
    return opening + [
        _Part(label, {key: texts[key] for key in keys if key in texts}, said.get(label, ())) for label, keys in dimensions.items()
    ]


def _tidy(text: str) -> str:
    """Return the text on one line, with single spaces and without marks at its ends: the prompt adds its own."""
    line = " ".join(_UNSENDABLE.sub("", text).split())
    return line.rstrip(_MARKS).lstrip(" ,;:") if line.strip(_MARKS) else ""


def _closed(text: str, mark: str) -> str:
    """Return the text with the mark at its end, unless it ends a sentence already."""
    return text if text.rstrip(_CLOSERS).endswith(_ENDS) else text + mark
