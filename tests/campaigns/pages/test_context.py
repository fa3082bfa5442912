"""What a writer gets: facts from the request alone; from competitors topics, whatever their pages are."""

from collections.abc import Callable

import pytest

from campaigns.pages import context, fetching
from campaigns.pages.fetching import FetchFailed
from campaigns.pages.types import Context, PageRequest, PageType, Product
from tests import images
from tests.providers.wire import answer

URL = "https://rival.example/shoes"
SHOE = Product("Fell 2", "F2", "Nordfell", "129.90", "EUR", description="Light.\nDry.", attributes={"Weight": "240 g"})
ARTICLE = """<!doctype html><html><head><title>Shoes &amp; more</title></head><body><nav><a href=/>Home</a></nav><article>
<h1>Trail shoes</h1><p>{words}</p><h2>Grip on wet rock</h2><p>{words}</p><h2>The 10 best of 2026 from €99</h2><p>{words}</p>
<h3>Lacing <b>well</b></h3><p>{words}</p></article><script>evil()</script></body></html>""".format(
    words="gaiters keep stones outside. " * 30
)


def request(*products: Product, **fields: object) -> PageRequest:
    return PageRequest(PageType.GUIDE, "https://a.example/", ("shoes", "grip"), "de", products=products, **fields)  # type: ignore[arg-type]


def built(fetch: Callable[[str], bytes], *urls: str) -> Context:
    return context.build(request(SHOE, competitor_urls=urls or (URL,)), fetch=fetch)


def gives(body: str | bytes) -> Callable[[str], bytes]:
    return lambda url: body.encode() if isinstance(body, str) else body


class TestFacts:
    def test_are_labelled_lines_in_the_language_of_the_page(self) -> None:
        found = context.build(
            request(
                SHOE,
                brief="For runners.\n\nNo jokes.",
                brand_voice="Dry.",
                seo={
                    "questions": ["How?"],
                    "related": ["fell"],
                    "links": [{"text": "Sizes", "url": "https://a.example/s"}],
                    "goal": "x",
                },
            ),
            fetch=gives(""),
        )

        assert found.facts == (
            "Fell 2",
            "Marke: Nordfell",
            "SKU: F2",
            "Preis: 129.90 EUR",
            "Weight: 240 g",
            "Beschreibung: Light.",
            "Beschreibung: Dry.",
            "Keywords: shoes, grip",
            "Brief: For runners.",
            "Brief: No jokes.",
            "Brand voice: Dry.",
            "Question: How?",
            "Related: fell",
            "Link: Sizes (https://a.example/s)",
            "goal: x",
        )
        assert (found.topics, found.sources) == ((), ())

    def test_of_several_products_name_theirs(self) -> None:
        found = context.build(request(SHOE, Product("Fell 3", attributes={"Weight": "250 g"})), fetch=gives(""))
        assert {"Fell 2", "Fell 2, Weight: 240 g", "Fell 3", "Fell 3, Weight: 250 g"} <= {*found.facts}


class TestCompetitors:
    def test_give_topics_without_figures_and_no_facts(self) -> None:
        found = built(gives(ARTICLE), URL, "https://other.example/")

        assert [(one.title, one.problem) for one in found.sources] == [("Shoes & more", "")] * 2
        assert "gaiters keep stones" in found.sources[0].text and "evil" not in found.sources[0].text
        assert found.topics == ("Trail shoes", "Grip on wet rock", "Lacing well", "gaiters", "stones", "outside")
        assert not any("gaiters" in fact for fact in found.facts)

    def test_in_another_encoding_are_read(self) -> None:
        page = ARTICLE.replace("Grip on wet rock", "Halt auf nassem Fels, gehört dazu").replace("€", "")
        assert "Halt auf nassem Fels, gehört dazu" in built(gives(page.encode("latin-1"))).topics[1]
        declared = page.replace("<head>", '<head><meta charset="iso-8859-15">').encode("iso-8859-15")
        assert "gehört" in built(gives(declared)).topics[1]
        assert "gehört" in built(gives(page.encode("utf-16"))).topics[1]

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not HTML"),
            (b"%PDF-1.7 <p>", "no readable text"),
            (b"\x1f\x8b\x08" + bytes(900), "not HTML"),
            (b"<html><body></body></html>", "no readable text"),
            (b"<p>" + b"x" * 1_500_000, "larger than 1.5 MB"),
            (b"<p>" + b"<b>" * 30_000, "too complicated"),
            (b"<div>" * 20_000 + b"deep", "no readable text"),
            (b"<html>\x00<body>\xff\xfe\xed\xa0\x80</body>", ""),
            (b"<p><![CDATA[<!ENTITY a 'b'>]]><?xml version='1.0' encoding='punycode'?>&a;&#0;&#xD800;", ""),
            (b'<meta charset="punycode"><p>' + b"word " * 300, ""),
        ],
        ids=["nothing", "PDF", "gzip", "blank", "large", "many tags", "deep", "broken bytes", "entities", "slow codec"],
    )
    def test_of_any_bytes_are_read_or_told_never_raised(self, body: bytes, problem: str) -> None:
        [source] = built(gives(body)).sources
        assert problem in source.problem and bool(source.text) != bool(source.problem)

    def test_that_ask_for_something_stay_text(self) -> None:
        page = ARTICLE.replace("Grip on wet rock", "{{ ignore }} &lt;script&gt; https://evil.example")
        assert not any("ignore" in topic for topic in built(gives(page)).topics)

    def test_that_can_not_be_fetched_are_told(self) -> None:
        def fetch(url: str) -> bytes:
            raise FetchFailed("The server took too long.") if "rival" in url else OSError()

        assert [one.problem for one in built(fetch, URL, "https://other.example/").sources] == [
            "The server took too long.",
            "The page can't be read.",
        ]

    def test_are_left_out_when_the_time_is_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(context, "SECONDS_MOST", -1.0)
        assert built(gives(ARTICLE)).sources[0].problem == "There was no time left."


class TestFetching:
    def test_takes_html_from_public_addresses_only(self, monkeypatch, tmp_path):
        html = answer(200, b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
        told = {
            "The server answered 404.": answer(404, b"no"),
            "The address is not an HTML page.": answer(200, b"{}", headers={"Content-Type": "application/json"}),
            "Only public https addresses are read.": answer(302, headers={"Location": "https://127.0.0.1/admin"}),
            "The page is larger than 1.5 MB.": answer(200, b"", headers={"Content-Length": "1600000"}),
            "The server can't be reached.|The answer broke off.": b"nonsense\r\n\r\n",
        }
        with images.public_server(monkeypatch, tmp_path) as server:
            server.says(html, answer(302, headers={"Location": "/there"}), html, *told.values())
            fetch, url = fetching.fetcher(), f"https://studio.test:{server.port}/a"

            assert (fetch(url), fetch(url)) == (b"<html>", b"<html>")
            for words in told:
                with pytest.raises(FetchFailed, match=f"^{words}"):
                    fetch(url)

    @pytest.mark.parametrize("url", ["http://93.184.215.14/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/"])
    def test_calls_no_other_address(self, url: str) -> None:
        with pytest.raises(FetchFailed, match="Only public https addresses are read"):
            fetching.fetcher()(url)

    def test_of_one_job_has_one_limit_of_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetching, "SECONDS_OF_ALL", 0.0)
        with pytest.raises(FetchFailed, match="took all the time"):
            fetching.fetcher()("https://93.184.215.14/")
