"""The components of a page: each a function that puts sentences together until there are as many words as there should be."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from genqueue_site.studio.pages.asked import Asked, Fact
from genqueue_site.studio.pages.writer import Writer, capital

T = TypeVar("T")
Content = dict[str, Any]
TRIES = 40  # texts of which the one is taken that keeps the bounds best
MARGIN = 2  # words that others may count otherwise
LONGEST_TITLE, LONGEST_HEADLINE = 60, 110  # characters
DESCRIPTION = (70, 155)  # characters
ASIDES = 4  # sentences of a lead, at most
FEWEST_QUESTIONS, MOST_QUESTIONS, PRODUCTS_MOST = 3, 5, 24
LISTED_LEAST, LISTED_MOST = 3, 4  # facts in a list
COMPARED_MOST, COMPARED_ROWS = 4, 4  # products beside each other, and their attributes
WORDS_PER_RETURN, WORDS_OF_A_SENTENCE = 150, 9  # to the main keyword; about
WORD = re.compile(r"\w+(?:[-'’.,/]\w+)*")
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")  # two of them count as a word


def write(asked: Asked, seed: int) -> Content:
    """Return the content of a component: of several texts, the one that keeps the bounds best."""
    best: tuple[int, Content] | None = None
    margin = MARGIN if asked.high - asked.low > 4 * MARGIN else 0
    for attempt in range(TRIES):
        writer = Writer(asked, random.Random(f"{seed} {asked.kind} {asked.title} {asked.figures} {attempt}"))
        content = WRITERS[asked.kind](writer)
        missed = max(asked.low + margin - (count := words_of(text_of(content))), count - (asked.high - margin), 0)
        if best is None or missed < best[0]:
            best = missed, content
        if missed == 0:
            break
    assert best is not None
    return best[1]


def words_of(text: str) -> int:
    """Return the number of words of a text. Two characters of a script without blanks count as one."""
    return len(WORD.findall(UNSPACED.sub(" ", text))) + -(-len(UNSPACED.findall(text)) // 2)


def _hero(writer: Writer) -> Content:
    """Write a headline, and a lead that names the main keyword."""
    headline, lead = writer.names(longest=LONGEST_HEADLINE), [writer.take("leads")]
    more = [writer.take("asides") for _ in range(ASIDES)]
    labelled = [fact for fact in writer.asked.facts if fact.label]
    if labelled and len(writer.asked.names) < 2:
        more.insert(writer.rng.randrange(2), writer.take("lead_facts", **writer.about(writer.rng.choice(labelled))))
    for sentence in more:
        if words_of(" ".join([headline, *lead, sentence])) <= writer.target:
            lead.append(sentence)
    return {"headline": headline, "lead": writer.joined(lead)}


def _body(writer: Writer) -> Content:
    """Write sections: first the keywords, then the facts, then remarks, until there are as many words as there should be."""
    remarks, headings = writer.remarks(), writer.headings()
    start = f"{capital(writer.main)}{writer.phrases.colon}{writer.take('tails')}"
    paragraphs = [writer.joined([writer.take("openings"), next(remarks)])]
    if related := [*_related(writer)]:
        paragraphs.append(writer.joined([*related, next(remarks)]))
    sections = [_section(start, *paragraphs)]
    for section in _told(writer, remarks, headings):
        if words_of(text_of([*sections, section])) > writer.asked.high:
            break
        sections.append(section)
    more = [*_filling(writer, remarks, writer.target - words_of(text_of(sections)))]
    _spread(writer, sections, more, headings)
    return {"sections": sections}


def _told(writer: Writer, remarks: Iterator[str], headings: Iterator[str]) -> Iterator[Content]:
    """Yield sections with the facts: some of them each, or each product with some of its own."""
    asked = writer.asked
    if len(asked.names) < 2:
        points = [f"{fact.label}{writer.phrases.colon}{fact.value}" for fact in writer.mixed(asked.facts) if fact.label]
        if len(points) >= LISTED_LEAST:
            yield _section(next(headings), next(remarks), points=points[:LISTED_MOST])
        for facts in _chunks(writer.mixed(asked.facts), 4):
            yield _section(next(headings), *_paragraphs(writer, facts, remarks))
        return
    if points := [*_compared(writer)]:
        yield _section(next(headings), next(remarks), points=points)
    each = 3 if len(asked.names) <= 6 else 2
    for name in asked.names[:PRODUCTS_MOST]:
        facts = [fact for fact in asked.facts if fact.name == name][:each]
        yield _section(name, *_paragraphs(writer, facts, remarks))


def _paragraphs(writer: Writer, facts: Sequence[Fact], remarks: Iterator[str]) -> list[str]:
    """Return paragraphs: two facts each and a remark; a remark alone if there are no facts."""
    told = [[*map(writer.stated, some)] for some in _chunks(facts, 2)] or [[]]
    return [writer.joined([*some, next(remarks)]) for some in told]


def _compared(writer: Writer) -> Iterator[str]:
    """Yield a few lines that put the values of several products beside each other."""
    asked, phrases = writer.asked, writer.phrases
    if len(asked.names) > COMPARED_MOST or asked.is_sparing:
        return
    rows: dict[str, list[Fact]] = {}
    for fact in asked.facts:
        rows.setdefault(fact.label, []).append(fact)
    for label in [label for label, row in rows.items() if len(row) == len(asked.names)][:COMPARED_ROWS]:
        yield f"{label}{phrases.colon}" + phrases.comma.join(f"{one.name}{phrases.dash}{one.value}" for one in rows[label])


def _related(writer: Writer) -> Iterator[str]:
    """Yield sentences with the other keywords."""
    others = writer.asked.keywords[1:]
    for some in _chunks(others, max(3, -(-len(others) // len(writer.phrases.others)))):
        yield writer.take("others", keys=writer.phrases.comma.join(map(writer.quoted, some)))


def _filling(writer: Writer, remarks: Iterator[str], words: float) -> Iterator[str]:
    """Yield remarks of this many words in all, and now and then one with the main keyword."""
    returns, count, next_return = iter(writer.mixed(writer.phrases.returns)), 0, WORDS_PER_RETURN
    while count < words - WORDS_OF_A_SENTENCE / 2:
        sentence = next(remarks, None)
        if count >= next_return and not writer.asked.is_sparing:
            sentence, next_return = writer.filled(next(returns, sentence or "")), next_return + WORDS_PER_RETURN
        if not sentence:
            return
        count += words_of(sentence)
        yield sentence


def _spread(writer: Writer, sections: list[Content], sentences: Sequence[str], headings: Iterator[str]) -> None:
    """Put sentences into paragraphs of their own: few of them into the last section, many into new ones."""
    paragraphs = [writer.joined(some) for some in _chunks(sentences, 3 if len(sentences) < 30 else 4)]
    if len(sentences) < 4:
        sections[-1]["paragraphs"] += paragraphs
        return
    for some in _chunks(paragraphs, 2 if len(sentences) < 30 else 3):
        if heading := next(headings, None):
            sections.append(_section(heading, *some))
        else:
            sections[-1]["paragraphs"] += some


def _faq(writer: Writer) -> Content:
    """Write questions: those that people ask and a fact answers, one about the keyword, then about facts and the page."""
    answered, remarks = dict(_answered(writer)), writer.remarks()
    labels = {fact.label: fact for fact in writer.mixed(writer.asked.facts) if fact.label and fact not in answered.values()}
    pairs = [(question, writer.take("answers", **writer.about(fact))) for question, fact in answered.items()]
    if not writer.asked.is_sparing:
        pairs.append(writer.pair("key_questions"))
    pairs += [writer.pair("fact_questions", **writer.about(fact)) for fact in [*labels.values()][:2]]
    pairs += [writer.pair("questions") for _ in range(MOST_QUESTIONS)]
    count = 0
    written: list[dict[str, str]] = []
    for question, answer in pairs[:MOST_QUESTIONS]:
        if len(written) >= FEWEST_QUESTIONS and count + words_of(f"{question} {answer}") > writer.target:
            break
        written.append({"question": question, "answer": answer})
        count += words_of(f"{question} {answer}")
    places = itertools.cycle(writer.mixed(range(len(written))))
    for sentence in remarks:
        if count + words_of(sentence) / 2 >= writer.target:
            break
        pair = written[next(places)]
        pair["answer"] = writer.joined([pair["answer"], sentence])
        count += words_of(sentence)
    return {"questions": written}


def _answered(writer: Writer) -> Iterator[tuple[str, Fact]]:
    """Yield the questions that people ask, each with the fact that answers it. Those that no fact answers are left out."""
    for question in writer.asked.questions:
        fits = [fact for fact in writer.asked.facts if fact.label and _names(question, fact.label)]
        if fits:
            yield question, next((fact for fact in fits if _names(question, fact.name)), fits[0])


def _meta(writer: Writer) -> Content:
    """Write a title and a description for search results."""
    least, longest = DESCRIPTION
    first = [*map(writer.filled, writer.mixed(writer.phrases.descriptions))]
    description = next((one for one in first if len(one) <= longest), capital(writer.main)[:longest])
    for blurb in writer.mixed(writer.phrases.blurbs):
        longer = writer.joined([description, blurb])
        if len(longer) <= longest and (len(description) < least or writer.rng.random() < 0.5):
            description = longer
    return {"title": writer.names(longest=LONGEST_TITLE), "description": description}


WRITERS: Mapping[str, Callable[[Writer], Content]] = {"hero": _hero, "body": _body, "faq": _faq, "meta": _meta}


def _section(heading: str, *paragraphs: str, points: Sequence[str] = ()) -> Content:
    return {"heading": heading, "paragraphs": [*paragraphs], "points": [*points]}


def _names(question: str, words: str) -> bool:
    """Whether a question has these words, or a long one of them."""
    asked = question.casefold()
    return words.casefold() in asked or any(word in asked for word in words.casefold().split() if len(word) >= 5)


def _chunks(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return the items in as few parts as possible, of about equal size."""
    parts = -(-len(items) // most)
    return [items[len(items) * part // parts : len(items) * (part + 1) // parts] for part in range(parts)]


def text_of(content: Any) -> str:
    """Return all texts of a content."""
    if isinstance(content, str):
        return content
    return " ".join(map(text_of, content.values() if isinstance(content, dict) else content))
