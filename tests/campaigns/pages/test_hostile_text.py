"""Hostile text costs what its size costs: what is looked at is counted, and runs that took hours are read to their end."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trafilatura

from campaigns.pages import components, context, grid, repair, table, wording
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.plain import plain
from campaigns.pages.product_data import DESCRIPTION_MOST, LABEL_MOST, RAW_TIMES, ProductReader
from campaigns.pages.quality import grounds
from campaigns.pages.types import Context, PageRequest, PageType, Planned, Product
from campaigns.writing import products
from queue_app.work.pipeline import Unusable

RUNS = ("<!--", "<![", "<![CDATA[", "<a ", "<a '", '<a b="', '<p "<" ', "<script", "<?", "</", "&#1", "<", "&lt", "<a\u0301")


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called, those in C too."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


class TestText:
    def test_keeps_thirty_marks_of_a_letter_and_all_other_signs(self) -> None:
        assert len(wording.clean("a" + "\u0301\u0316" * 500_000)) == 30  # the first one is part of “á”
        assert wording.clean("x" + "\u20e3\u0301" * 500_000 + "y").endswith("y")
        assert wording.clean("e\u0301 " + "\U0001f600" * 40) == "é " + "\U0001f600" * 40

    @pytest.mark.parametrize("run", RUNS)
    def test_loses_its_markup_in_one_pass(self, run: str) -> None:
        def read(size: int) -> Callable[[], str]:
            return lambda: wording.without_markup("<p>" + run * (size // len(run)))

        assert calls_of(read(40_000)) < 5 * max(50, calls_of(read(10_000)))
        read(400_000)()

    def test_without_its_markup_is_as_people_read_it(self) -> None:
        found = wording.without_markup(
            '<P class="[&>p]:x">5 &lt; 6 <br/>&amp; <b>dry</b><!-- no --><script>no()</script> <3 <!-- open'
        )
        assert wording.clean(found) == "5 < 6\n& dry <3"

    def test_may_have_codes_of_any_length(self) -> None:
        assert plain(f"a&#{'9' * 9_000};b &#x{'f' * 9_000}; &amp;") == "a\ufffdb \ufffd &"


class TestCompetitors:
    @pytest.mark.parametrize(
        "body",
        [
            "<p " + " ".join(f"a{n}" for n in range(100_000)) + ">x",
            "<p " + "".join(f"a{n}='>'" for n in range(100_000)) + ">x",
            '<p a">"<q " ' + " ".join(f"b{n}" for n in range(100_000)) + ">x",
            "<p " + "class=x id=y " * 90_000 + ">x",
            "<p>" + "<title" * 24_900 + "x" * 1_300_000,
            "<p>" + "<!--" * 24_900,
            "<p>" + "<script" * 24_900,
        ],
        ids=["attributes", "quoted", "odd quotes", "one attribute", "titles", "comments", "scripts"],
    )
    def test_give_a_parser_short_tags_only(self, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[str] = []
        monkeypatch.setattr(trafilatura, "bare_extraction", lambda html, **_: given.append(html))

        request = PageRequest(PageType.GUIDE, "https://a.example/", ("shoes",), "en", competitor_urls=("https://b.example/",))
        context.build(request, fetch=lambda url: body.encode())

        tags = re.findall("<[^<>]*>?", given[0])
        assert max(map(len, tags), default=0) < 300 and "<!--" not in given[0] and len(given[0]) <= 2 * len(body)
        assert all(re.fullmatch(r'</?\w+( (class|id)="[\w -]+"){0,2}>', tag) for tag in tags)

    def test_have_titles_of_bounded_length(self) -> None:
        assert re._parser.parse(context._TITLE.pattern).getwidth()[1] < 2_000  # type: ignore[attr-defined]


class TestProducts:
    def test_with_texts_far_too_long_are_refused_unread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[int] = []
        monkeypatch.setattr(wording, "without_markup", lambda text: read.append(len(text)) or text)
        data = {"name": "<!--" * 50_000, "brand": "N", "description": "<!--" * 50_000, "attributes": {"Weight": "<!--" * 50_000}}

        reader = ProductReader(data, "product", LANGUAGES["en"])
        reader.product()

        assert [one.field for one in reader.objections] == ["product.name", "product.description", "product.attributes.Weight"]
        assert all("Too long" in one.message for one in reader.objections) and read == [1]
        assert RAW_TIMES * DESCRIPTION_MOST < 50_000

    def test_have_labels_that_do_not_grow_with_their_nesting(self) -> None:
        reader = ProductReader({}, "product", LANGUAGES["en"])
        found = [*reader._flat({"k" * 100_000: {f"a{n}": 1 for n in range(1_000)}}, "", 0)]
        assert {len(label) for label, _ in found} == {LABEL_MOST + 1}

    def test_too_large_for_the_catalogue_are_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ProductReader, "product", lambda self: pytest.fail("it was read"))
        [problem] = products._problems({"sku": "a", "name": "b", "more": {"k" * 50_000: "c"}})
        assert "the limit is 12,000" in problem.message


class TestFiles:
    def test_with_too_many_columns_are_refused_by_their_number(self) -> None:
        asked: list[str] = []
        with pytest.raises(grid.FileRefused, match=r"The file has 300001 columns; the limit is 200\."):
            grid.read(b"a," * 300_000 + b"b\n1\n", rows_most=9, is_known=lambda name: bool(asked.append(name)))
        assert len(asked) <= 4 * grid.COLUMNS_MOST

    def test_with_many_open_quotes_are_not_read_again_for_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lines: list[int] = []
        record = grid._record
        monkeypatch.setattr(grid, "_record", lambda some, *rest: (lines.append(len(some)), record(some, *rest))[1])

        found = grid.read(b"sku,name\n" + b'"a\n' * 4_000, rows_most=5_000, is_known=lambda name: name in {"sku", "name"})

        assert len(found.records) == 4_000 and all(one.problem for one in found.records)
        assert sum(lines) <= 4_000 + (grid.BROKEN_MOST + 5) * grid.LINES_MOST

    def test_with_numbers_of_any_length_are_told(self) -> None:
        cells = {"page_type": "guide", "target_url": "https://a.example/", "keywords": "a", "language": "en"}
        row = {**cells, "sku_count": "1" + ",111" * 3_000}
        [checked] = table.check(
            [*row], [grid.Record(2, tuple(row.values()))], table.Rules(("en",), datetime(2026, 1, 1, tzinfo=UTC))
        )
        assert checked.error_of("sku_count") == "Enter a whole number, such as 12400."

    def test_with_a_row_too_large_are_told_before_it_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(table.inputs, "read", lambda *_, **__: pytest.fail("it was read"))
        row = {"page_type": "guide", "product": json.dumps({"name": "x" * 70_000})}
        [checked] = table.check(
            [*row], [grid.Record(2, tuple(row.values()))], table.Rules(("en",), datetime(2026, 1, 1, tzinfo=UTC))
        )
        assert "the limit is 64,000" in checked.error_of("")


class TestAnswers:
    def test_of_many_quotes_are_read_without_copies_of_their_rest(self) -> None:
        text = '{"a": "' + '\\"\U0001f600' * 60_000 + '"}'
        assert repair.parse(text) == {"a": '"\U0001f600' * 60_000}
        with pytest.raises(repair.CutOff):
            repair.parse('{"a": "b\\')

    def test_far_longer_than_a_component_are_refused(self) -> None:
        sections = [{"heading": "h", "paragraphs": ["word " * 900] * 20, "points": []}]
        with pytest.raises(Unusable) as refused:
            components.read(Planned("body", "body", paid=True, low=1, high=9), json.dumps({"sections": sections}))
        assert refused.value.code == "cut_off"


class TestGrounds:
    @staticmethod
    def of(*products: Product) -> grounds.Grounds:
        request = PageRequest(PageType.COMPARISON, "https://a.example/", ("buty",), "pl", products=products)
        return grounds.Grounds.of(Context(request, facts=tuple(one.name for one in products)))

    def test_compare_figures_only_where_they_are_few(self) -> None:
        few = self.of(Product("A", attributes={"Waga": "240 g"}), Product("B", attributes={"Waga": "300 g"}))
        many = {
            f"{name}": Product(name, attributes={"Waga": " ".join(f"{n * n + k} g" for n in range(80))})
            for k, name in enumerate("AB")
        }

        assert any(value == pytest.approx(60, rel=0.01) or value == pytest.approx(0.06) for value, *_ in few.measured["mass"])
        assert sum(map(len, self.of(*many.values()).measured.values())) <= 2 * 80

    def test_know_forms_of_words_and_numbers_by_looking_them_up(self) -> None:
        facts = self.of(*(Product(f"Krakowska{n}x Fell {n}") for n in range(40)), Product("Warszawa 東京 7"))

        assert facts.has_word("Warszawie", inflected=True) and not facts.has_word("Wrocławie", inflected=True)
        assert not facts.has_word("Warszawie") and not facts.has_word("Warszawiankami", inflected=True)
        assert facts.number("Fell", "7") and facts.number("fell") and not facts.number("fell", "77") and not facts.number("ell")
        assert facts.number("新東京", "7") and not facts.number("京", "7")
        words = calls_of(lambda: facts.has_word("Krakowskimi", inflected=True))
        more = self.of(*(Product(f"Krakowska{n}x Fell {n}") for n in range(400)))
        more.has_word("Zzz", inflected=True)  # its table is built
        assert calls_of(lambda: more.has_word("Krakowskimi", inflected=True)) <= words + 5
