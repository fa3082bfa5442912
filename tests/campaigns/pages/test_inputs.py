"""What a job's metadata asks for: read into a request, or refused with every problem at its field."""

from typing import Any

import pytest

from campaigns.pages import inputs, product_data
from campaigns.pages.inputs import InputsRefused
from campaigns.pages.languages import LANGUAGES, count_words
from campaigns.pages.types import PageRequest, PageType, Product, as_json, from_json

PAGE: dict[str, Any] = {
    "page_type": "guide",
    "target_url": "https://nordfell.no/en/lacing",
    "keywords": ["lacing", "fell shoes"],
    "language": "en",
}


def read(prompt: str = "", **metadata: Any) -> PageRequest:
    return inputs.read({**PAGE, **metadata}, prompt, languages=[*LANGUAGES])


def refused(prompt: str = "", **metadata: Any) -> dict[str, str]:
    """Return the objections: field → message."""
    with pytest.raises(InputsRefused) as refusal:
        read(prompt, **metadata)
    assert not any(objection.plan for objection in refusal.value.objections)
    return {objection.field: objection.message for objection in refusal.value.objections}


def product(**data: Any) -> Product:
    return read(product={"name": "Fell 2", **data}).products[0]


class TestARequest:
    def test_has_what_was_asked_for_and_survives_json(self) -> None:
        request = read(
            "Explain.\r\n\r\n\r\n\r\nBriefly.",
            brand_voice="Plain\u202e and dry.",
            competitor_urls=["https://a.example/x", "https://a.example/x"],
            seo={"questions": ["Which size\nfits?"], "links": [{"text": "Sizes", "url": "https://a.example/s"}], "goal": 3},
            sku_count=140,
            monthly_searches=12400.0,
            content_status="Outdated",
            skip_quality_check=True,
        )

        assert (request.page_type, request.keywords, request.language) == (PageType.GUIDE, ("lacing", "fell shoes"), "en")
        assert (request.brief, request.brand_voice) == ("Explain.\n\nBriefly.", "Plain and dry.")
        assert request.competitor_urls == ("https://a.example/x",)
        assert request.seo == {
            "questions": ["Which size fits?"],
            "links": [{"text": "Sizes", "url": "https://a.example/s"}],
            "goal": "3",
        }
        assert (request.sku_count, request.monthly_searches, request.content_status) == (140, 12400, "outdated")
        assert request.skip_quality_check
        assert from_json(PageRequest, as_json(request)) == request

    def test_sent_without_a_brief_has_none(self) -> None:
        assert inputs.title(PAGE) == "Guide page: lacing"
        assert read("Guide page: lacing").brief == ""

    def test_names_every_problem_at_once(self) -> None:
        found = refused(
            "x" * 9_000,
            page_type="kategory",
            target_url="nordfell.no/en/gaiter-2",
            keywords=[],
            language="xx",
            brand_voice=4,
            products=[{"name": "A", "price": 1}, {"sku": "B"}, {"name": "C", "price": "1,299"}],
            competitor_urls=["https://u:p@a.example/"],
            sku_count="140",
            monthly_searches=-1,
            content_status="outdatd",
            seo=[],
            skip_quality_check="no",
        )

        assert found == {
            "prompt": "Too long: 9,000 of 8,000 characters. Shorten the brief by 1,000.",
            "metadata.page_type": "Unknown page type. Did you mean category?",
            "metadata.target_url": "Add https:// in front.",
            "metadata.keywords": "Add a keyword. The first one is the main keyword.",
            "metadata.language": "Unknown language “xx”. Available: en, de, fr, es, it, pt, nl, sv, pl, ja.",
            "metadata.brand_voice": "Enter a text.",
            "metadata.products.1.name": "Add the name of the product.",
            "metadata.products.2.price": "Enter a number with a point, such as 129.90. The currency has a field of its own.",
            "metadata.competitor_urls.0": "Remove the user name and password from the URL.",
            "metadata.sku_count": "Enter a whole number, 0 or more, such as 1200.",
            "metadata.monthly_searches": "Enter a whole number, 0 or more, such as 1200.",
            "metadata.content_status": "Unknown content status “outdatd”. Did you mean outdated?",
            "metadata.seo": "Send an object, such as {“questions”: [“Which size fits?”]}.",
            "metadata.skip_quality_check": "Send true or false.",
        }

    def test_of_nothing_names_what_a_page_needs(self) -> None:
        with pytest.raises(InputsRefused) as refusal:
            inputs.read({}, "", languages=["en"])
        assert [one.field for one in refusal.value.objections] == [
            "metadata.page_type",
            "metadata.language",
            "metadata.target_url",
            "metadata.keywords",
        ]

    @pytest.mark.parametrize(
        ("language", "words"),
        [
            ("ja", "Japanese is not offered here. Available: en, de."),
            ("German", "Write the code de instead of “German”."),
            ("en-GB", "Write en instead of “en-GB”: pages have a language, not a region."),
            ("", "Choose a language: en, de."),
            (None, "Choose a language: en, de."),
            (7, "Unknown language “7”. Available: en, de."),
        ],
    )
    def test_in_another_language_is_refused_by_name(self, language: Any, words: str) -> None:
        with pytest.raises(InputsRefused) as refusal:
            inputs.read({**PAGE, "language": language}, "", languages=["en", "de"])
        assert [(one.field, one.message) for one in refusal.value.objections] == [("metadata.language", words)]

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "ftp://a.example/",
            "https://",
            "https:///x",
            "https://[::1",
            "https://a.example:99999/",
            "https://a b.example/",
            "https://a.example/\nx",
            'https://a.example/"onload="x',
            "https://a.example\\@b.example/",
            "data:text/html,<script>",
            "//a.example/x",
            "https://a.example/" + "x" * 2_000,
            7,
        ],
    )
    def test_to_an_address_that_is_none_is_refused(self, url: Any) -> None:
        assert [*refused(target_url=url)] == ["metadata.target_url"]

    @pytest.mark.parametrize("url", ["http://a.example", "HTTPS://a.example:8443/ü?x=1#y", "https://例え.jp/靴"])
    def test_to_a_web_address_is_taken(self, url: str) -> None:
        assert read(target_url=url).target_url == url

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("Brand-Voice", "brand_voice"), ("brand_voise", "brand_voice"), ("competitor_url", "competitor_urls"), ("SEO", "seo")],
    )
    def test_with_a_misspelt_key_is_told_the_right_one(self, name: str, meant: str) -> None:
        found = refused(**{name: {} if meant == "seo" else [] if meant == "competitor_urls" else "x"})
        assert found == {f"metadata.{name}": f"Unknown key “{name}”. Did you mean {meant}?"}

    @pytest.mark.parametrize("name", ["order", "languages", "geo", "product_id", "keyword", "campaign", "brand", "url"])
    def test_may_have_keys_of_its_clients_own(self, name: str) -> None:
        assert read(**{name: "4711"}) == read()

    def test_takes_one_product_or_several_not_both(self) -> None:
        both = refused(product={"name": "A"}, products=[{"name": "B"}])
        assert both == {"metadata.products": "Send product or products, not both."}
        assert [one.name for one in read(product={}, products=[{"name": "B"}]).products] == ["B"]
        assert [*refused(products=[{"name": "A", "sku": 1}, {"name": "B", "sku": "1"}])] == ["metadata.products.1.sku"]


class TestAProduct:
    def test_keeps_its_facts_as_they_are_given(self) -> None:
        given = product(
            sku=4711,
            brand={"@type": "Brand", "name": "Nordfell"},
            price=129.9,
            currency="eur",
            image=["https://a.example/1.png", "https://a.example/2.png"],
            description="<p>Light &amp; dry.</p><script>alert(1)</script> For feet < 30 cm.",
            attributes={"Weight": "240 g", "drop_mm": 0.1},
            waterproofRating=10000,
            colours=["red", "blue"],
            vegan=True,
            RAM_GB=8,
            dimensions={"width": {"value": 10.5, "unit": "cm"}, "box": {"height": 3}},
            specs=[{"name": "Sole", "value": "Rubber"}],
            empty="",
            nothing=None,
            tiny=1e-07,
        )

        assert (given.sku, given.brand, given.price, given.currency) == ("4711", "Nordfell", "129.90", "EUR")
        assert given.image == "https://a.example/1.png"
        assert given.description == "Light & dry.\nFor feet < 30 cm."
        assert given.attributes == {
            "Weight": "240 g",
            "Drop mm": "0.1",
            "Waterproof rating": "10000",
            "Colours": "red, blue",
            "Vegan": "yes",
            "RAM GB": "8",
            "Dimensions width": "10.5 cm",
            "Dimensions box height": "3",
            "Sole": "Rubber",
            "Tiny": "0.0000001",
        }

    def test_says_yes_in_the_language_of_its_page(self) -> None:
        request = read(language="sv", product={"name": "Fell 2", "vegan": True})
        assert request.products[0].attributes == {"Vegan": "ja"}

    @pytest.mark.parametrize(
        ("price", "read_as"),
        [
            (129, ("129", "")),
            ("129.90", ("129.90", "")),
            ("129,90 €", ("129.90", "EUR")),
            ("1.299,00", ("1299.00", "")),
            ("1,299.00", ("1299.00", "")),
            ("1 299,00 zł", ("1299.00", "PLN")),
            ("1'299.00 chf", ("1299.00", "CHF")),
            ({"amount": "12.50", "currency": "GBP"}, ("12.50", "GBP")),
        ],
    )
    def test_has_a_price_and_its_currency(self, price: Any, read_as: tuple[str, str]) -> None:
        given = product(price=price)
        assert (given.price, given.currency) == read_as

    @pytest.mark.parametrize(
        "price", ["1,299", "1.299", "12,5", "from 12", "12 $", "USD 12 EUR", True, -5, 1e-9, [12], float("nan")]
    )
    def test_has_no_price_that_could_be_read_in_two_ways(self, price: Any) -> None:
        assert [*refused(product={"name": "A", "price": price})] == ["metadata.product.price"]

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "A" * 201}, "name"),
            ({"url": "/shop"}, "url"),
            ({"image": "ftp://x"}, "image"),
            ({"currency": "Euro"}, "currency"),
            ({"price": "12.00 EUR", "currency": "USD"}, "currency"),
            ({"description": ["x"]}, "description"),
            ({"brand": [1]}, "brand"),
            ({"attributes": "Weight: 240 g"}, "attributes"),
            ({"attributes": {"Weight": "x" * 501}}, "attributes.Weight"),
            ({"attributes": {"Weight": "240 g"}, "weight": "1", "Weight": "250 g"}, "attributes.Weight"),
            ({"attributes": {f"A{number}": "1" for number in range(61)}}, "attributes"),
            ({"deep": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}, "attributes"),
        ],
    )
    def test_with_something_wrong_is_refused_at_its_field(self, data: dict[str, Any], field: str) -> None:
        assert next(iter(refused(product={"name": "A", **data}))) == f"metadata.product.{field}"

    def test_of_hostile_text_is_text(self) -> None:
        name = "<img src=x onerror=alert(1)>Fell\u202e\x00 </script>2"
        given = read(product={"name": name, "attributes": {"<b>": "{{ 7*7 }}\x1b[31m"}}).products[0]
        assert given.name == "Fell 2"
        assert given.attributes == {"<b>": "{{ 7*7 }}[31m"}


@pytest.mark.parametrize(("code", "words"), [("en", 7), ("de", 7), ("ja", 2)])
def test_words_are_counted_by_language(code: str, words: int) -> None:
    text = "軽い靴。" if code == "ja" else "Weight: 1,240.5 g, 40-hour battery, don't run"
    assert count_words(text, code) == words


def test_every_language_has_all_words() -> None:
    assert all(len(one.words) == 9 and all(one.words.values()) for one in LANGUAGES.values())
    assert product_data.as_text([1.0, "a", True], LANGUAGES["de"]) == "1, a, ja"
