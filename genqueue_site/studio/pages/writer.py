"""Takes sentences from the phrases of a language, each once, and puts words and facts into them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from genqueue_site.studio.pages.asked import Asked, Fact
from genqueue_site.studio.pages.phrases import LANGUAGES, Phrases

T = TypeVar("T")


class Writer:
    """Writes one component. Takes each sentence from its pool once, in an order of its own."""

    def __init__(self, asked: Asked, rng: random.Random) -> None:
        self.asked, self.rng, self.phrases = asked, rng, LANGUAGES[asked.language]
        self.main = asked.keywords[0]
        self.target = asked.low + (asked.high - asked.low) * rng.uniform(0.3, 0.7)
        self._decks: dict[str, Iterator[str]] = {}
        self._stated: set[str] = set()

    def take(self, pool: str, **words: str) -> str:
        """Return the next sentence of a pool with these words in it. A pool that is used up begins again."""
        return self.filled(self._next(pool), **words)

    def pair(self, pool: str, **words: str) -> tuple[str, str]:
        """Return the next question of a pool and its answer."""
        question, answer = self._next(pool).split(" | ")
        return self.filled(question, **words), self.filled(answer, **words)

    def _next(self, pool: str) -> str:
        if pool not in self._decks:
            self._decks[pool] = itertools.cycle(self.mixed(getattr(self.phrases, pool)))
        return next(self._decks[pool])

    def filled(self, sentence: str, **words: str) -> str:
        """Return a sentence with the keyword, the name and these words in their places."""
        if sentence.startswith("{key}"):
            words = {"key": capital(self.main)} | words  # at the beginning it stands without marks
        return sentence.format(**{"name": self.asked.title, "key": self.quoted(self.main)} | words)

    def mixed(self, sentences: Sequence[T]) -> list[T]:
        return self.rng.sample(sentences, len(sentences))

    def joined(self, sentences: Iterable[str]) -> str:
        return self.phrases.gap.join(sentences)

    def quoted(self, words: str) -> str:
        return words.join(self.phrases.marks)

    def about(self, fact: Fact) -> dict[str, str]:
        """Return the words of a fact for a sentence."""
        return {"name": fact.name, "label": self.quoted(fact.label), "value": fact.value}

    def stated(self, fact: Fact) -> str:
        """Return a sentence with a fact, with its product's name where that is needed and not the main keyword once more."""
        if not fact.label:
            return fact.value if fact.value[-1] in ".!?。" else f"{fact.value}."
        number, is_sparing = len(self._stated), self.asked.is_sparing
        is_named = not is_sparing if len(self.asked.names) > 1 else number == 0 or (number % 4 == 0 and not is_sparing)
        pool = "details" if is_named else "entries"
        choices = (self.take(pool, **self.about(fact)) for _ in getattr(self.phrases, pool))
        sentence = next((one for one in choices if one not in self._stated), None) or self.take("details", **self.about(fact))
        self._stated.add(sentence)
        return sentence

    def remarks(self) -> Iterator[str]:
        """
        Yield sentences that go with any page, each once: whole ones, and those made of two parts. The questions of a page have
        some for themselves.
        """
        page = random.Random(f"{self.asked.title} {self.asked.keywords}")  # the same for all components of a page
        whole = page.sample(self.phrases.remarks, len(self.phrases.remarks))
        pairs = (_pairs(self.phrases, page, "beginnings", "endings"), _pairs(self.phrases, page, "subjects", "predicates"))
        turns = [[*one, *other] for one, other in zip(*pairs, strict=False)]
        third = len(whole) // 3
        first, rest = ([], [whole[:third], turns[-1]]) if self.asked.kind == "faq" else (whole[third:], self.mixed(turns[:-1]))
        yield from self.mixed([*first, *rest[0]])
        for some in rest[1:]:
            yield from self.mixed(some)

    def headings(self) -> Iterator[str]:
        """Yield headings, each once."""
        yield from self.mixed(self.phrases.headings)
        yield from map(capital, self.mixed(self.phrases.tails))

    def names(self, *, longest: int) -> str:
        """Return a headline or a title: the main keyword and the name, in either order, and words that go with any."""
        name, key, phrases = self.asked.title, capital(self.main), self.phrases
        heads = [f"{key}{phrases.colon}{name}", f"{name}{phrases.dash}{self.main}"]
        if self.main.casefold() in name.casefold():
            heads = [capital(name)]
        whole = [
            f"{head}{phrases.dash if phrases.colon in head else phrases.colon}{tail}" for head in heads for tail in phrases.tails
        ]
        short = [f"{key}{phrases.colon}{tail}" for tail in phrases.tails]
        choices = [*self.mixed(whole), *heads, *self.mixed(short), key]
        return next((one for one in choices if len(one) <= longest), key[:longest].rstrip())


def capital(words: str) -> str:
    """Return words with a capital at their beginning, unless their first one has capitals of its own, such as iPad."""
    return f"{words[:1].upper()}{words[1:]}" if words.split(" ")[0].islower() else words


def _pairs(phrases: Phrases, rng: random.Random, starts: str, ends: str) -> list[list[str]]:
    """Return lists of sentences. Within a list no part comes twice; no sentence is in two lists."""
    first, second = getattr(phrases, starts), getattr(phrases, ends)
    mixed = rng.sample(second, len(second))
    return [
        [f"{start}{phrases.gap}{mixed[(place + turn) % len(mixed)]}" for place, start in enumerate(first)]
        for turn in range(len(mixed))
    ]
