"""How a page reads: its length, how easy it is, sentences that repeat, its language, words that its brand avoids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pyphen

from campaigns.pages import plan
from campaigns.pages.languages import LANGUAGES as OFFERED
from campaigns.pages.languages import count_words
from campaigns.pages.quality import voice
from campaigns.pages.quality.grounding import blocks_of
from campaigns.pages.quality.likeness import PROSE
from campaigns.pages.types import Check, Context, Document

# Flesch's formula with the constants of each language: base, per word of a sentence, per syllable of a word
FLESCH = {
    "en": (206.835, 1.015, 84.6),  # Flesch 1948
    "de": (180.0, 1.0, 58.5),  # Amstad 1978
    "fr": (207.0, 1.015, 73.6),  # Kandel and Moles 1958
    "es": (206.84, 1.02, 60.0),  # Fernández Huerta 1959
    "it": (217.0, 1.3, 60.0),  # Franchina and Vacca 1986
    "pt": (248.835, 1.015, 84.6),  # Martins and others 1996
    "nl": (206.84, 0.93, 77.0),  # Douma 1960
}
EASY, HARD = 50, 20
FEW_WORDS = 60  # a figure from fewer words says nothing
NEAR = 0.15  # so far outside its bounds, a length is only a warning
SURE = 0.9
LEAST_CHARACTERS = 200
LEAST_OF_COMPONENT = 40  # with this and SURE, no component of the 60 honest pages alarms, also after names of products in English
_LOWER = "a-zß-öø-ÿąćęłńśźżœ"
# after these a point ends no sentence: “129.90”, “z.B.”, “approx. five”, “z. B.”, “2. März 2026”
_GOES_ON = rf"\w|[ \xa0]{{1,2}}[{_LOWER}]|(?<=\b\w\.)[ \xa0]\w\.|(?<=\d\.)[ \xa0]{{1,2}}[^\W\d_]{{3,12}} \d{{4}}"
_SENTENCE = re.compile(rf"(?:[^.!?。！？\n]|\.(?={_GOES_ON}))+")
_WORD = re.compile(r"[^\W\d_]+")


def check_words(document: Document, context: Context) -> Check:
    """Words of the page and of each component that a model writes; tables count for nothing."""
    name, language = "Words", context.request.language
    counted = {one: _words_of(document, one.key, language) for one in plan.planned(context.request) if one.paid and one.high}
    total = sum(counted.values())
    low, high = sum(one.low for one in counted), sum(one.high for one in counted)
    bound = f"{low:,} to {high:,}" + ("" if OFFERED[language].is_spaced else "; 2 characters count as 1")
    off = [one for one, words in counted.items() if not one.low <= words <= one.high]
    far = [one for one in off if not one.low * (1 - NEAR) <= counted[one] <= one.high * (1 + NEAR)]
    if not off:
        return Check(name, "pass", f"{total:,}", bound, "Each part has the length that was asked for.")
    said = "; ".join(f"{one.key}: {counted[one]:,} of {one.low:,} to {one.high:,} words" for one in far or off)
    keys = tuple(one.key for one in far)
    return Check(name, "fail" if far else "warn", f"{total:,}", bound, f"Change the length of {said}.", keys)


def _words_of(document: Document, key: str, language: str) -> int:
    return sum(count_words(block.text, language) for block in document.blocks if block.component == key)


def check_readability(document: Document, context: Context) -> Check:
    """Reading ease by Flesch, where the language has a formula."""
    name, language, bound = "Readability", context.request.language, f"{EASY} or more (Flesch)"
    if language not in FLESCH:
        return Check(name, "pass", "not measured", "none", f"There is no Flesch formula for {OFFERED[language].name}.")
    ease = reading_ease(_prose(document), language)
    if ease is None:
        return Check(name, "pass", "not measured", bound, f"Measured from {FEW_WORDS} words on.")
    figure = f"{ease:.0f}"
    if ease >= EASY:
        return Check(name, "pass", figure, bound, "Sentences and words are short enough to read easily.")
    hard = tuple(key for key in _paid(context) if key != "meta")
    sentence = "Use shorter sentences and words."
    return Check(name, "fail", figure, bound, sentence, hard) if ease < HARD else Check(name, "warn", figure, bound, sentence)


def reading_ease(text: str, language: str) -> float | None:
    """Return the reading ease of a text, about 0 (hard) to 100 (easy); None if it is too short for a figure."""
    sentences = [words for sentence in _sentences(text) if (words := _WORD.findall(sentence))]
    words = [word for sentence in sentences for word in sentence]
    if len(words) < FEW_WORDS:
        return None
    base, per_word, per_syllable = FLESCH[language]
    syllables = sum(_syllables(word.lower(), language) for word in words)
    return base - per_word * len(words) / len(sentences) - per_syllable * syllables / len(words)


def check_repeated(document: Document, context: Context) -> Check:
    """Sentences that stand on the page more than once."""
    name, bound = "Repeated sentences", "0"
    seen: Counter[str] = Counter()
    holders: dict[str, list[str]] = {}
    shortest = 12 if context.request.language == "ja" else 20
    for block in document.blocks:
        if block.kind in PROSE and block.component in _paid(context):
            for sentence in _sentences(block.text):
                if len(sentence) >= shortest:
                    seen[key := " ".join(sentence.lower().split())] += 1
                    holders.setdefault(key, []).append(block.component)
    again = [sentence for sentence, times in seen.items() if times > 1]
    repeats = sum(seen[sentence] - 1 for sentence in again)
    if not again:
        return Check(name, "pass", "0", bound, "Each sentence stands on the page once.")
    components = tuple(dict.fromkeys(holders[sentence][-1] for sentence in again))
    figure, sentence, found = f"{repeats:,}", "Write each sentence once.", tuple(again[:10])
    if repeats == 1:
        return Check(name, "warn", figure, bound, sentence, (), found)
    return Check(name, "fail", figure, bound, sentence, components, found)


def check_language(document: Document, context: Context) -> Check:
    """
    The language that the page is really written in: as a whole, and each component and text block that is long enough.

    A component is judged from fewer characters than a block: a point may be a value of the data in another language.
    """
    name, asked = "Language", context.request.language
    bound = OFFERED[asked].name
    blocks = [("", _prose(document)), *((block.component, block.text) for block in document.blocks if block.kind in PROSE)]
    texts = [(key, text) for key, text in blocks if len(text) >= LEAST_CHARACTERS]
    texts += [(key, text) for key in _paid(context) if len(text := _text_of(document, key)) >= LEAST_OF_COMPONENT]
    read = [(key, *_identified(text)) for key, text in texts]
    if not read:
        return Check(name, "pass", "not measured", bound, f"Measured from {LEAST_OF_COMPONENT} characters on.")
    wrong = {key: language for key, language, certainty in read if language != asked and certainty >= SURE}
    found = next(iter(wrong.values()), read[0][1])
    if wrong:
        keys = tuple(key for key in wrong if key in _paid(context)) or tuple(_paid(context))
        return Check(name, "fail", OFFERED[found].name, bound, f"Write in {bound}, not in {OFFERED[found].name}.", keys)
    if found != asked:
        return Check(name, "warn", "not sure", bound, f"Some texts look like {OFFERED[found].name}. Read them once.")
    return Check(name, "pass", bound, bound, "The page is in the language that was asked for.")


def check_avoided(document: Document, context: Context) -> Check:
    """Words that the brand voice says to avoid."""
    name, bound = "Brand words avoided", "0 found"
    words = voice.avoided(context.request.brand_voice)
    found: dict[str, list[str]] = {}
    patterns = [(word, re.compile(_whole(word), re.I)) for word in words]
    for block in blocks_of(document):
        for word, pattern in patterns:
            if pattern.search(block.text):
                found.setdefault(word, []).append(block.component)
    if not found:
        sentence = "None of the words to avoid is on the page." if words else "The brand voice names no words to avoid."
        return Check(name, "pass", "0 found", bound, sentence)
    components = tuple(dict.fromkeys(key for keys in found.values() for key in keys if key in _paid(context)))
    named = ", ".join(f"“{word}”" for word in found)
    return Check(name, "fail", f"{len(found)} found", bound, f"Replace {named}.", components, tuple(found))


def _whole(word: str) -> str:
    """Return a pattern of a word by itself; in scripts without blanks, anywhere."""
    before = r"(?<!\w)" if word[0].isascii() or word[0] < "\u3000" else ""
    after = r"(?!\w)" if word[-1] < "\u3000" else ""
    return f"{before}{re.escape(word)}{after}"


def _prose(document: Document) -> str:
    return "\n".join(one.text for one in document.blocks if one.kind in PROSE)


def _text_of(document: Document, component: str) -> str:
    return "\n".join(one.text for one in blocks_of(document) if one.component == component and one.kind != "cell")


def _sentences(text: str) -> Iterator[str]:
    return (sentence for match in _SENTENCE.finditer(text) if (sentence := match[0].strip()))


def _paid(context: Context) -> Sequence[str]:
    return [one.key for one in plan.planned(context.request) if one.paid]


@cache
def _hyphens(language: str) -> Any:
    return pyphen.Pyphen(lang=language, left=1, right=1)


@cache
def _syllable_counts() -> dict[tuple[str, str], int]:
    return {}


def _syllables(word: str, language: str) -> int:
    known = _syllable_counts()
    if len(known) > 50_000:
        known.clear()
    key = (word[:40], language)
    if key not in known:
        known[key] = len(_hyphens(language).positions(word[:40])) + 1
    return known[key]


@cache
def _identifier() -> Any:
    from py3langid.langid import _load_identifier  # its model takes 100 ms to load

    return _load_identifier(norm_probs=True, langs=list(OFFERED))


def _identified(text: str) -> tuple[str, float]:
    language, certainty = _identifier().rank(text[:20_000])[0]
    return str(language), float(certainty)
