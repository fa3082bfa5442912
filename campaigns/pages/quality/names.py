"""
Find the proper nouns and codes of a text that stand in no fact: people, makers, places, products, certificates.

Where common nouns are small, a capital in mid-sentence is a name. In German, where they are not, and at the start of a sentence, a
name is known by its shape (GORE, iPhone, X7, ®), its neighbours (Dr., GmbH, “Marke …”) or a list. In Japanese it is Latin letters,
a word before さん or 氏, a company's form, a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from campaigns.pages.quality import dates, places, units
from campaigns.pages.quality.grounds import Grounds, squeezed
from campaigns.pages.quality.known_names import (
    ACRONYMS,
    BRANDS,
    CUES,
    GIVEN_NAMES,
    JAPANESE_BRANDS,
    LATIN,
    LEGAL_FORMS,
    NOBODY,
    ORDINARY,
    SAYS,
    TITLES,
)

_TOKEN = re.compile(r"[^\W_]+(?:[-.&][^\W_]+)*®?")
_SENTENCE_ENDS = frozenset(".!?:;…•|\n\0。！？")
_DASHES = frozenset((" –", " —"))  # “Yes — If you like mud.”
_LOOKED_PAST = frozenset(" \t\"“”„«»‘’'([¿¡*_")
_ABBREVIATIONS = TITLES | frozenset("e.g i.e z.b ca inkl bzw st no nr art vs np ul approx bl.a t.ex bijv d.h u.a p.ej".split())
_PARTICLES = frozenset("de du la le van von der den di da do dos das del della und & et y e of the och i".split())
_LATIN_RUN = re.compile(r"[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ0-9.+-]*")
_KATAKANA = re.compile(r"[ァ-ヺー]+(?:・[ァ-ヺー]+)*")
_KANJI = re.compile(r"[一-龯々]+")
_HONORIFIC = re.compile(
    r"([一-龯々]{1,6}|[ァ-ヺー・]{2,20}|[ぁ-ん]{2,4}(?=さん))(さん|氏|博士|教授|先生|様|監督|選手)(?![一-龯])"
)
_COMPANY = re.compile(r"株式会社 ?([一-龯ァ-ヺーA-Za-z]{2,12})|([一-龯ァ-ヺー]{2,12})(?:株式会社|社製)")
_REGION = re.compile(r"[一-龯]{2,3}(?:県|府)|[一-龯]{2,3}市(?![場民販街])")
_NO_REGION = frozenset(("都市", "各県", "全県", "近県", "他県", "同市", "政府", "地方都市"))


@dataclass(frozen=True)
class Token:
    """A word of a text: where it is, and whether a sentence starts with it."""

    text: str
    start: int
    end: int
    starts: bool

    @property
    def lower(self) -> str:
        return self.text.lower().rstrip("®")

    @property
    def is_capital(self) -> bool:
        return self.text[0].isupper()


def find(text: str, language: str, grounds: Grounds, *, titled: bool) -> list[str]:
    """
    Return the names and codes of a plain text that stand in no fact.

    :param titled: the text may be in title case, as headings are.
    """
    masked = dates.masked(text, language)
    if language == "ja":
        return list(dict.fromkeys(_japanese(masked, grounds)))
    tokens = list(_tokens(masked))
    if titled and _is_title_case(tokens):
        tokens = [Token(one.text, one.start, one.end, True) for one in tokens]
    suspects = [_is_suspect(tokens, at, language, grounds) for at in range(len(tokens))]
    return list(dict.fromkeys(_joined(tokens, suspects, masked)))


def _tokens(text: str) -> Iterator[Token]:
    before, end = "", 0
    for match in _TOKEN.finditer(text):
        gap = text[end : match.start()]
        rest = gap.rstrip("".join(_LOOKED_PAST)) if end else ""
        starts = not end or bool(rest) and (rest[-1] in _SENTENCE_ENDS or rest in _DASHES)
        if starts and rest.startswith(".") and len(rest) == 1 and before in _ABBREVIATIONS:
            starts = False
        yield Token(match[0], match.start(), match.end(), starts)
        before, end = match[0].lower(), match.end()


def _is_title_case(tokens: list[Token]) -> bool:
    words = [one for one in tokens if len(one.text) > 3 and one.text[0].isalpha() and not one.starts]
    return bool(words) and sum(one.is_capital for one in words) >= 0.6 * len(words)


def _is_suspect(tokens: list[Token], at: int, language: str, grounds: Grounds) -> bool:
    one = tokens[at]
    if not any(sign.isalpha() for sign in one.text) or _is_figure(one.text):
        return False
    word = one.text.rstrip("®")
    if word.lower() in ACRONYMS and word[0].isupper():
        return False
    if _is_grounded(word, language, grounds):
        return False
    if one.text.endswith("®") or _is_code(word) or one.lower in BRANDS and one.is_capital:
        return True
    if not one.is_capital or len(word) < 2:
        return False
    if _has_name_beside(tokens, at):
        return True
    place = places.named(language).get(one.lower)
    if place and (language == "de" or one.starts):
        return True
    if language == "de":
        return _is_german_name(tokens, at, language, grounds)
    return not one.starts and one.lower not in ORDINARY[language] and not _is_ordinary_part(word, language)


def _is_figure(word: str) -> bool:
    """“240g”, “30-day”, “12x”: figures, which `quantities` reads; “3D” and “5G” are codes."""
    if not word[0].isdigit():
        return False
    rest = word.lstrip("0123456789.,-")
    return rest.islower() or rest.rstrip("23") in units.SIGNS or "-" in word


def _is_code(word: str) -> bool:
    """“GORE”, “iPhone”, “PrimaLoft”, “X7”, “3D”: no everyday word looks so."""
    if any(sign.isdigit() for sign in word):
        return True
    parts = re.split(r"[-&.]", word)
    return any(len(part) > 1 and (part.isupper() or any(a.islower() and b.isupper() for a, b in zip(part, part[1:], strict=False)))
               for part in parts)  # fmt: skip


def _is_grounded(word: str, language: str, grounds: Grounds) -> bool:
    inflected = language == "pl"
    if grounds.has_word(word, inflected=inflected):
        return True
    parts = [part for part in re.split(r"[-&.]", word) if part]
    if len(parts) < 2:
        return False
    telling = [part for part in parts if part[0].isupper() or any(sign.isdigit() for sign in part)]
    names = [part for part in telling if language != "de" or _is_code(part) or part.lower() in BRANDS]
    if language == "de" and not names and word.lower() not in BRANDS:
        return True  # Trail-Schuh: a compound of common nouns
    return bool(names) and word.lower() not in BRANDS and all(grounds.has_word(part, inflected=inflected) for part in names)


def _is_ordinary_part(word: str, language: str) -> bool:
    return word.lower().split("'")[0] in ORDINARY[language]


def _has_name_beside(tokens: list[Token], at: int) -> bool:
    """“Dr. Weber”, “Weber GmbH”, “Anna Weber”."""
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if before and before.lower in TITLES and before.end + 2 >= tokens[at].start:
        return True
    if after and after.lower in LEGAL_FORMS and not after.text.islower():
        return True
    if tokens[at].lower in GIVEN_NAMES:
        return bool(after and after.is_capital and not after.starts and after.start == tokens[at].end + 1)
    return bool(before and before.lower in GIVEN_NAMES and before.is_capital and before.end + 1 == tokens[at].start)


def _is_german_name(tokens: list[Token], at: int, language: str, grounds: Grounds) -> bool:
    """“Marke Salewa”; “sagt Maria Hölzl”, “von Nord Alpin”: two capitals in a row without an article."""
    before = tokens[at - 1] if at else None
    if before and before.lower in CUES and before.end + 1 == tokens[at].start:
        return True
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    pairs = ((tokens[at - 2] if at > 1 else None, before, tokens[at]), (before, tokens[at], following))
    return any(
        cue is not None and first is not None and second is not None and cue.lower in SAYS and not first.starts
        and first.is_capital and second.is_capital and first.end + 1 == second.start and cue.end + 1 == first.start
        and first.lower not in units.words() and not _is_grounded(second.text, language, grounds)
        and not first.text.startswith(("Ihr", "Sie"))
        for cue, first, second in pairs
    )  # fmt: skip


def _joined(tokens: list[Token], suspects: list[bool], text: str) -> Iterator[str]:
    """Yield runs of suspect words as one name, with the particles between them."""
    at = 0
    while at < len(tokens):
        if not suspects[at]:
            at += 1
            continue
        last = at
        while last + 1 < len(tokens) and (suspects[last + 1] or last + 2 < len(tokens) and suspects[last + 2]
                                          and tokens[last + 1].lower in _PARTICLES):  # fmt: skip
            if tokens[last + 1].start - tokens[last].end > 2:
                break
            last += 1
        while last > at and not suspects[last]:
            last -= 1
        yield text[tokens[at].start : tokens[last].end]
        at = last + 1


def _japanese(text: str, grounds: Grounds) -> Iterator[str]:
    for match in _LATIN_RUN.finditer(text):
        word = match[0].rstrip(".-+")
        after_number = match.start() and text[match.start() - 1].isdigit()
        if len(word) < 2 or word.lower() in LATIN or after_number and (word in units.SIGNS or word.lower() in units.words()):
            continue
        if squeezed(word) not in grounds.squeezed:
            yield word
    for match in _KATAKANA.finditer(text):
        word = match[0]
        if squeezed(word) in grounds.squeezed:
            continue
        parts = word.split("・")
        if word in JAPANESE_BRANDS or word in places.named("ja") or any(one in word for one in JAPANESE_BRANDS):
            yield word
        elif (
            len(parts) == 2 and text[match.end() : match.end() + 1] in ("が", "氏", "の", "に", "は") and _is_foreign(parts, text)
        ):
            yield word
    for match in _KANJI.finditer(text):
        word = match[0]
        for at in range(len(word) - 1):
            for length in (3, 2):
                part = word[at : at + length]
                if len(part) == length and part in places.named("ja") and part not in grounds.texts:
                    yield part
    for pattern in (_HONORIFIC, _COMPANY, _REGION):
        for match in pattern.finditer(text):
            name = next((group for group in match.groups() if group), match[0])
            if name in NOBODY or match[0] in _NO_REGION or name in grounds.texts or _ends_known(name, grounds):
                continue
            yield match[0]


def _is_foreign(parts: list[str], text: str) -> bool:
    """“アンナ・ウェーバー”: a person. “サイズ・カラー” are two words; such words tend to stand alone elsewhere too."""
    return all(len(part) >= 2 and text.count(part) == 1 for part in parts) and max(map(len, parts)) >= 4


def _ends_known(name: str, grounds: Grounds) -> bool:
    """Whether a known name stands at the end of what a pattern took: “研究者の高梨健一” and the like."""
    return any(name[at:] in grounds.texts for at in range(1, len(name) - 1)) or any(
        name.endswith(one) for one in NOBODY if len(one) > 1
    )
