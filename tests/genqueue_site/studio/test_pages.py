"""The studio writes the components of a page from the facts of the prompt, and nothing else."""

from __future__ import annotations

import itertools
import json
import re
from functools import cache
from typing import Any

import jsonschema
import py3langid.langid
import pytest

from genqueue_site.studio import pages, prose
from genqueue_site.studio.pages.components import words_of
from genqueue_site.studio.pages.phrases import LANGUAGES
from tests.genqueue_site.studio.page_prompts import KEYWORDS, product, prompt

MAIN, *OTHERS = KEYWORDS
TEXT = {"type": "string", "minLength": 1}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def some(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


SCHEMAS = {
    "hero": fields(headline=TEXT, lead=TEXT),
    "body": fields(sections=some(fields(heading=TEXT, paragraphs=some(TEXT), points=some(TEXT, 0)))),
    "faq": fields(questions=some(fields(question=TEXT, answer=TEXT), 3)),
    "meta": fields(title=TEXT, description=TEXT),
}
# from how many to how many words the components of a page of each kind have, and after a cut answer
BOUNDS = {
    "product": {"hero": [20, 60], "body": [200, 310], "faq": [80, 130]},
    "category": {"hero": [30, 80], "body": [430, 610], "faq": [140, 210]},
    "guide": {"hero": [40, 90], "body": [960, 1590], "faq": [200, 320]},
    "less": {"hero": [20, 30], "body": [200, 228], "faq": [80, 93]},
}
PRODUCTS = {"product": 1, "category": 5, "guide": 2, "less": 1}


def written(text: str, seed: int = 1) -> dict[str, Any]:
    asked = pages.read(text)
    assert asked is not None
    return dict(json.loads(pages.answer(asked, seed)))


def texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text for inner in (content.values() if isinstance(content, dict) else content) for text in texts(inner)]


@cache
def page(language: str, of: str = "product", seed: int = 1) -> dict[str, dict[str, Any]]:
    """Return the components of a page about products of its own."""
    products = [product(seed * 100 + number) for number in range(PRODUCTS[of])]
    components = {kind: prompt(kind, language, products, words=words) for kind, words in BOUNDS[of].items()}
    return {kind: written(text, seed) for kind, text in {**components, "meta": prompt("meta", language, products)}.items()}


def sentences(text: str, language: str) -> list[str]:
    return re.findall(r"[^。]+。", text) if language == "ja" else re.split(r"(?<=[.!?]) ", text)


@pytest.mark.parametrize("language", LANGUAGES)
class TestAComponent:
    @pytest.mark.parametrize("of", BOUNDS)
    def test_has_the_shape_and_the_length_asked_for(self, language: str, of: str) -> None:
        for kind, content in page(language, of).items():
            jsonschema.validate(content, SCHEMAS[kind])
            low, high = BOUNDS[of].get(kind, [0, 1000])
            assert low <= words_of(" ".join(texts(content))) <= high, kind
        meta = page(language, of)["meta"]
        assert len(meta["title"]) <= 60 and 70 <= len(meta["description"]) <= 155

    def test_has_no_figure_that_was_not_given(self, language: str) -> None:
        for seed in range(4):
            given = re.findall(r"\d+", prompt("hero", products=[product(seed * 100)]))
            assert not set(re.findall(r"\d+", " ".join(texts(page(language, seed=seed))))) - set(given)

    def test_has_the_keywords_where_readers_look_for_them(self, language: str) -> None:
        hero, body, meta = (page(language)[kind] for kind in ("hero", "body", "meta"))
        first = body["sections"][0]
        for text in (meta["title"], hero["headline"], hero["lead"], first["heading"], first["paragraphs"][0]):
            assert MAIN in text.casefold()
        assert all(keyword in " ".join(texts(body)) for keyword in OTHERS)
        shares = [share_of_the_keyword(" ".join(texts([page(language, of)[kind] for kind in BOUNDS[of]]))) for of in BOUNDS]
        assert all(0.005 <= share <= 0.02 for share in shares), shares

    def test_says_every_fact_and_nothing_twice(self, language: str) -> None:
        body = " ".join(texts(page(language)["body"]))
        assert all(label in body and value in body for label, value in product(100)["attributes"].items())
        told = [text for content in page(language, "guide").values() for text in texts(content)]
        parts = [sentence for text in told for sentence in sentences(text, language) if sentence.strip()]
        assert len(parts) == len(set(parts))

    def test_is_in_the_language_asked_for(self, language: str) -> None:
        judge = judge_of_languages()
        for seed in range(3):
            text = " ".join(texts(page(language, seed=seed)))
            assert len(text) >= 200 and judge.classify(text)[0] == language

    def test_differs_on_pages_about_different_products(self, language: str) -> None:
        every = [shingles(page(language, seed=seed), language) for seed in range(30)]
        alike = sorted(len(one & other) / len(one | other) for one, other in itertools.combinations(every, 2))
        assert alike[-1] < 0.5 and alike[len(alike) // 2] < 0.35

    def test_is_written_in_other_words_the_second_time(self, language: str) -> None:
        for kind, words in BOUNDS["product"].items():
            first, again = (written(prompt(kind, language, words=words, figures=found)) for found in ([], ["2.4% is too much."]))
            assert words[0] <= words_of(" ".join(texts(again))) <= words[1]
            assert shingles(first, language) != shingles(again, language)


def share_of_the_keyword(text: str) -> float:
    return text.casefold().count(MAIN) / words_of(text)


def shingles(content: Any, language: str) -> set[tuple[str, ...]]:
    text = " ".join(texts(content)).casefold()
    words = [*re.sub(r"\W", "", text)] if language == "ja" else re.findall(r"\w+", text)
    return {*zip(words, words[1:], words[2:], strict=False)}


@cache
def judge_of_languages() -> Any:
    judge = py3langid.langid.LanguageIdentifier.from_model_file(py3langid.langid.MODEL_FILE)
    judge.set_languages([*LANGUAGES])
    return judge


def test_a_batch_of_120_pages_has_no_near_copies() -> None:
    every = [shingles(page("en", seed=seed), "en") for seed in range(120)]
    alike = [len(one & other) / len(one | other) for one, other in itertools.combinations(every, 2)]
    assert max(alike) < 0.4 and sum(alike) / len(alike) < 0.25


class TestWhatIsAskedFor:
    def test_is_equal_for_equal_prompts_and_a_seed_changes_it(self) -> None:
        asked = prompt("hero", words=[20, 60])
        assert written(asked, 1) == written(asked, 1)
        assert len({json.dumps(written(asked, seed)) for seed in range(9)}) > 5

    def test_names_price_and_brand_with_the_labels_of_the_facts(self) -> None:
        body = " ".join(texts(written(prompt("body", "de", [{**product(1), "price": "79.90"}], words=[200, 310]))))
        assert "Price" in body and "79.90 EUR" in body

    def test_answers_only_the_questions_that_a_fact_answers(self) -> None:
        asked = {"questions": ["What is their weight?", "Do they float?"], "words": [80, 130]}
        shoes = {"name": "Fell 2", "attributes": {"Weight": "240 g", "Drop": "6 mm", "Upper": "mesh"}}
        first, *others = written(prompt("faq", products=[shoes], **asked))["questions"]
        assert first["question"] == "What is their weight?" and "240 g" in first["answer"]
        assert not any("float" in pair["question"] for pair in others)

    def test_leaves_out_a_value_that_a_check_found_fault_with(self) -> None:
        shoes = {"name": "Fell 2", "attributes": {"Weight": "240 g", "Drop": "6 mm", "Upper": "mesh"}}
        again = prompt("body", products=[shoes], words=[200, 310], figures=["“240 g” stands in no fact."])
        assert "240 g" not in " ".join(texts(written(again))) and "6 mm" in " ".join(texts(written(again)))

    def test_repeats_a_keyword_sparingly_if_the_products_are_named_so_or_a_check_says_so(self) -> None:
        named = [{**product(seed), "name": f"{product(seed)['name']} {MAIN}"} for seed in range(4)]
        plain, told = {"words": [430, 610]}, {"words": [430, 610], "figures": [f"Use “{MAIN}” less often."]}
        of_names, of_check, otherwise = (
            " ".join(texts(written(prompt("body", "en", products, title="Shoes", **task)))).casefold().count(MAIN)
            for products, task in ((named, plain), ([product(1)], told), ([product(1)], plain))
        )
        in_any_case = 2  # in the first heading and the first paragraph
        assert (of_names, of_check) == (len(named) + in_any_case, in_any_case) and otherwise > in_any_case

    def test_needs_no_products(self) -> None:
        asked = prompt("body", products=[{"name": ""}], title="", words=[200, 310])
        assert 200 <= words_of(" ".join(texts(written(asked)))) <= 310

    @pytest.mark.parametrize(
        "hostile",
        ["{name} {0} {", "a | b | c", "TASK 00000000\n{}\nTASK 00000000", "\ud800", "x" * 5000, "<script>1</script>", ""],
    )
    @pytest.mark.parametrize("kind", SCHEMAS)
    def test_takes_any_words_as_words(self, kind: str, hostile: str) -> None:
        one = {"name": f"Fell {hostile}", "attributes": {hostile: hostile, f"Weight{hostile}": hostile}}
        asked = prompt(kind, products=[one, {"name": 7}], keywords=[hostile, 5], title=hostile, questions=[hostile, None])
        jsonschema.validate(written(asked), SCHEMAS[kind])

    @pytest.mark.parametrize(
        "task", [{"kind": "specs"}, {"kind": ["hero"]}, {"language": "xx"}, {"language": None}, {"kind": None}], ids=str
    )
    def test_is_a_component_that_the_studio_can_write(self, task: dict[str, Any]) -> None:
        assert pages.read(prompt("hero", "en", **task)) is None
        assert "studio preview" in prose.write(prompt("hero", "en", **task), 1)

    @pytest.mark.parametrize("words", [[5], "many", [None, 3], [9, -4], [True, False], None], ids=str)
    def test_may_have_any_length_if_its_bounds_are_none(self, words: object) -> None:
        assert written(prompt("body", words=words))["sections"]

    def test_is_also_the_file_of_the_job(self) -> None:
        assert json.loads(prose.write(prompt("hero"), 1)) == written(prompt("hero"), 1)


class TestAnOddAnswer:
    @pytest.mark.parametrize(
        ("oddity", "pattern"),
        [
            ("fenced", r"```json\n\{.*\}\n```"),
            ("introduced", r"Sure! .*:\n\n\{.*\}"),
            ("trailing_comma", r"\{.*,\}"),
            ("cut_off", r"\{.*[^}]"),
            ("cut_silently", r"\{.*[^}]"),
        ],
    )
    @pytest.mark.parametrize("kind", SCHEMAS)
    def test_of_another_form_is_not_plain_json(self, kind: str, oddity: str, pattern: str) -> None:
        asked = pages.read(prompt(kind))
        assert asked is not None
        answer = pages.answer(asked, 1, oddity)
        assert re.fullmatch(pattern, answer, re.DOTALL)
        with pytest.raises(ValueError):
            json.loads(answer)

    @pytest.mark.parametrize("kind", SCHEMAS)
    def test_in_another_language_has_the_same_form(self, kind: str) -> None:
        asked = pages.read(prompt(kind, words=[80, 120]))
        assert asked is not None
        content = json.loads(pages.answer(asked, 1, "wrong_language"))
        jsonschema.validate(content, SCHEMAS[kind])
        assert judge_of_languages().classify(" ".join(texts(content)).replace(MAIN, ""))[0] != "en"

    @pytest.mark.parametrize("kind", SCHEMAS)
    def test_with_an_invention_has_one_figure_that_no_fact_has(self, kind: str) -> None:
        asked = pages.read(prompt(kind))
        assert asked is not None
        content = json.loads(pages.answer(asked, 1, "invented"))
        jsonschema.validate(content, SCHEMAS[kind])
        figures = set(re.findall(r"\d+", " ".join(texts(content)))) - set(re.findall(r"\d+", prompt(kind)))
        assert len(figures) == 1 and f"{figures.pop()} kg" in " ".join(texts(content))
