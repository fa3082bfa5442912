"""The form of one page, as browsers without JavaScript and htmx see it: drafts, price, priority, errors, one launch."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Brand, CatalogueRow, PageDraft
from campaigns.writing import launch
from queue_app import clock
from queue_app.models import GenerationModel, Job, ModelRoute, User, Wallet
from tests.campaigns.test_page import text_of
from tests.campaigns.written import SHOES
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
NEW, LOOK = "/pages/new/", "/pages/new/look/"


class Tab:
    """A browser's tab with the form: what is typed, the hidden fields as the last answer left them, and that answer."""

    def __init__(self, web: Client, address: str = NEW):
        self.web, self.address = web, address
        self.typed: dict[str, Any] = {}
        self.hidden: dict[str, str] = {}
        self._take(web.get(address))

    def _take(self, answer: Any) -> None:
        self.answer, self.html = answer, html_of(answer)
        found = re.findall(r'<input type="hidden"(?: id="[^"]*")? name="([a-z_]+)" value="([^"]*)"', self.html)
        self.hidden |= {name: html.unescape(value) for name, value in found}

    @property
    def text(self) -> str:
        """What a person reads, on one line."""
        return html.unescape(text_of(self.html))

    def post(self, do: str = "update", *, live: bool = False, **typed: Any) -> "Tab":
        """Type, press a button, and take the answer; ``live`` as htmx does on every change."""
        self.typed |= typed
        sent = {**self.hidden, **self.typed, "do": do}
        self._take(self.web.post(LOOK if live else self.address, sent, headers={"HX-Request": "true"} if live else {}))
        return self

    def note(self, name: str) -> str:
        """What is said at a field."""
        found = re.search(rf'<div id="note-{name}"[^>]*>(.*?)</div>', self.html)
        return html.unescape(text_of(found[1])) if found else ""


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=1_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


@pytest.fixture
def tab(web: Client) -> Tab:
    return Tab(web)


def shoe(**fields: Any) -> dict[str, Any]:
    """A finished form of a product page."""
    known = {
        "page_type": "product",
        "target_url": "https://nordfell.no/en/fell-1",
        "language": "en",
        "keywords": "fell shoes, wet rock grip",
        "product_data": json.dumps(SHOES[0]),
        "brief": "Say how it grips on wet slate.",
    }
    return known | fields


class TestOpening:
    def test_needs_a_log_in(self, client: Client) -> None:
        assert client.get(NEW)["Location"] == f"/login/?next={NEW}"

    def test_writes_nothing_and_says_what_each_type_needs(self, tab: Tab) -> None:
        assert not PageDraft.objects.exists()
        assert "Product one product, 300–500 words Needs a product with 3 attributes or more" in tab.text
        assert "To generate, add a target URL, a keyword, product data." in tab.text
        assert tab.note("target_url") == ""
        assert not re.search(r"<script(?![^>]* src=)|\sstyle=|\son\w+=", tab.html)

    def test_offers_the_languages_of_the_settings(self, web: Client, settings: Any) -> None:
        settings.PAGE_LANGUAGES = ["de", "ja"]
        assert re.findall(r">(\w+), (de|ja|en)<", Tab(web).html) == [("German", "de"), ("Japanese", "ja")]

    def test_keeps_the_draft_when_nobody_offers_a_model(self, web: Client) -> None:
        ModelRoute.objects.filter(model__medium="page").update(active=False)
        tab = Tab(web).post(live=True, **shoe())
        assert "No model for pages is available" in tab.text and 'value="generate"' not in tab.html


class TestWhatFollowsFromAChange:
    def test_price_wallet_time_and_priority_with_its_points(self, tab: Tab) -> None:
        soon = (clock.now() + timedelta(days=2)).date().isoformat()
        tab.post(live=True, **shoe(sku_count="140", monthly_searches="12,400", content_status="outdated", deadline=soon))
        each = GenerationModel.objects.get(pk="page-writer").pricing.tickets_of({})
        assert f"Cost {each} ticket Estimated provider cost $0.02 Wallet after {1_000 - each}" in tab.text
        assert "Done in about" in tab.text
        assert "Priority normal, 80 points 140 SKUs: +20, 12,400 monthly searches: +30, content outdated: +10," in tab.text
        assert "above normal needs permission" in tab.text

    def test_the_draft_survives_a_reload(self, tab: Tab, web: Client) -> None:
        tab.post(live=True, **shoe(keywords="grip, “wet” rock"))
        again = Tab(web)
        assert "Draft saved at" in again.text
        assert 'value="grip, “wet” rock"' in html.unescape(again.html)
        assert again.hidden["draft"] == tab.hidden["draft"]

    def test_a_brand_fills_in_its_voice_unless_another_was_typed(self, tab: Tab) -> None:
        Brand.objects.create(name="Nordfell", voice="Plain, dry, outdoors.")
        Brand.objects.create(name="Alder", voice="Calm.")
        tab.post(live=True, brand="Nordfell", brand_voice="")
        assert re.search(r'<textarea id="f-brand_voice"[^>]*hx-swap-oob="true"[^>]*>\s*Plain, dry, outdoors\.', tab.html)
        tab.post(live=True, brand="Alder", brand_voice="Plain, dry, outdoors.")
        assert re.search(r'<textarea id="f-brand_voice"[^>]*>\s*Calm\.', tab.html)
        tab.post(live=True, brand="Nordfell", brand_voice="My own words.")
        assert re.search(r'<textarea id="f-brand_voice"[^>]*>\s*My own words\.', tab.html)

    @pytest.mark.parametrize(
        ("typed", "name", "said"),
        [
            ({"target_url": "nordfell.no/en/fell-1"}, "target_url", "https://"),
            ({"sku_count": "many"}, "sku_count", "Enter a whole number of SKUs, such as 1200."),
            ({"deadline": "2020-01-01"}, "deadline", "The deadline has passed. Choose a later date, or leave it empty."),
            ({"deadline": "soon"}, "deadline", "Enter a date, such as 2026-12-01."),
            ({"language": "tlh"}, "language", "Unknown language"),
            ({"product_data": '{"name": "Fell", "price": "1,299"}'}, "product_data", "Enter a number with a point"),
            ({"product_data": "{broken"}, "product_data", "This is not JSON"),
            ({"skus": "X-1"}, "skus", "Not in your catalogue: “X-1”."),
            ({"questions": "Which size?\n" + "x" * 301}, "questions", "Too long: 301 of 300 characters."),
            ({"competitor_urls": "https://a.example\nftp://b.example"}, "competitor_urls", "https"),
        ],
    )
    def test_an_error_stands_beside_its_field(self, tab: Tab, typed: dict[str, str], name: str, said: str) -> None:
        assert said in tab.post(live=True, **shoe(**typed)).note(name)

    def test_what_the_data_cannot_carry_is_said_before_anything_is_paid(self, tab: Tab) -> None:
        tab.post("generate", **shoe(page_type="comparison", product_data=json.dumps(SHOES[:1])))
        assert tab.answer.status_code == 422
        assert "This data can't carry the page. A comparison needs at least 2 products; it has 1." in tab.text
        assert not Job.objects.exists()


class TestProducts:
    def test_of_the_catalogue_and_pasted_ones_go_together(self, tab: Tab, owner: User) -> None:
        CatalogueRow.objects.create(owner=owner, sku="F-2", name="Fell 2", data=SHOES[1], changed_at=NOON)
        CatalogueRow.objects.create(owner=UserFactory(), sku="F-3", name="Fell 3", data=SHOES[2], changed_at=NOON)
        tab.post("generate", **shoe(page_type="category", skus="F-2"))
        assert [one["name"] for one in Job.objects.get().metadata["products"]] == ["Fell 2", "Fell 1"]
        assert "Not in your catalogue" in Tab(tab.web).post(live=True, **shoe(skus="F-3")).note("skus")

    def test_are_read_from_csv(self, tab: Tab) -> None:
        tab.post("generate", **shoe(product_data="name;price;currency;Weight;Drop;Lugs\nFell 1;119,90;EUR;240 g;6 mm;5 mm"))
        product = Job.objects.get().metadata["product"]
        assert (product["name"], product["currency"], product["attributes"]["Weight"]) == ("Fell 1", "EUR", "240 g")


class TestALaunch:
    def test_queues_one_page_as_the_api_would(self, tab: Tab, owner: User) -> None:
        asked = "Which size fits, and why?\n\n Do they grip wet rock? "
        tab.post(
            "generate", **shoe(questions=asked, sku_count="140", competitor_urls="https://a.example/x,y\nhttps://b.example/")
        )
        job = Job.objects.get()
        assert tab.answer["Location"] == f"/pages/{job.pk}/"
        assert (job.kind_id, job.model_id, job.prompt, job.label) == (
            *("page", "page-writer"),
            *("Say how it grips on wet slate.", "fell shoes"),
        )
        assert job.metadata["keywords"] == ["fell shoes", "wet rock grip"]
        assert job.metadata["sku_count"] == 140 and "monthly_searches" not in job.metadata
        assert job.metadata["competitor_urls"] == ["https://a.example/x,y", "https://b.example/"]
        assert job.metadata["seo"] == {"questions": ["Which size fits, and why?", "Do they grip wet rock?"]}
        assert job.notify and job.batch is None
        assert Wallet.objects.get(owner=owner).available == 1_000 - job.tickets

    def test_happens_once_however_often_it_is_sent(self, tab: Tab, web: Client) -> None:
        before = dict(tab.post(**shoe()).hidden)
        first = tab.post("generate").answer["Location"]
        tab.hidden = before
        assert tab.post("generate").answer["Location"] == first
        assert Job.objects.count() == 1
        assert "Not saved yet" in Tab(web).text

    def test_of_other_words_from_an_old_tab_asks_again(self, tab: Tab, web: Client) -> None:
        old = Tab(web)
        tab.post(**shoe())
        old.hidden = dict(tab.hidden)
        tab.post("generate")
        old.post("generate", **shoe(keywords="gaiters"))
        assert "This draft was queued from another tab" in old.text and Job.objects.count() == 1
        old.post("generate")
        assert Job.objects.count() == 2

    def test_at_another_price_than_the_button_said_asks_again(self, tab: Tab) -> None:
        tab.post(**shoe())
        GenerationModel.objects.filter(pk="page-writer").update(tickets_per_unit=7)
        tab.post("generate")
        assert "Not generated yet: the price is now 7 tickets." in tab.text and not Job.objects.exists()
        tab.post("generate")
        assert Job.objects.get().tickets == 7

    def test_without_tickets_says_so_and_keeps_the_draft(self, client_for: Login) -> None:
        tab = Tab(client_for(UserFactory(tickets=0))).post(**shoe())
        assert re.search(r'id="generate"[^>]*disabled', tab.html)
        tab.post("generate")
        assert "Nothing was generated." in tab.text and not Job.objects.exists()
        assert PageDraft.objects.get().body["target_url"] == "https://nordfell.no/en/fell-1"

    def test_of_an_empty_form_marks_what_is_missing(self, tab: Tab) -> None:
        tab.post("generate", page_type="product", language="en")
        assert "Nothing was generated. Fix the highlighted fields." in tab.text
        assert tab.note("target_url") and tab.note("keywords")

    def test_can_be_discarded_instead(self, tab: Tab, web: Client) -> None:
        tab.post(**shoe())
        assert "fell shoes, wet rock grip" in text_of(html_of(web.get("/pages/new/discard/one/")))
        web.post("/pages/new/discard/one/", tab.hidden)
        assert not PageDraft.objects.exists() and "Not saved yet" in Tab(web).text

    def test_is_not_discarded_once_it_is_queued(self, tab: Tab, web: Client) -> None:
        tab.post(**shoe())
        draft = dict(tab.hidden)
        tab.post("generate")
        web.post("/pages/new/discard/one/", draft)
        assert "Nothing was discarded. The draft was queued or replaced in another tab." in Tab(web).text

    def test_of_a_draft_that_is_discarded_at_that_moment_makes_nothing(
        self, tab: Tab, web: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = launch.write_draft

        def discarded(*asked: Any, **more: Any) -> Any:
            web.post("/pages/new/discard/one/", tab.hidden)
            return write(*asked, **more)

        tab.post(**shoe())
        monkeypatch.setattr(launch, "write_draft", discarded)
        tab.post("generate")
        assert "Nothing was generated. This draft was discarded or replaced in another tab." in tab.text
        assert "Not saved yet" in tab.text and not Job.objects.exists()


def test_hostile_text_is_shown_as_text(tab: Tab) -> None:
    hostile = "</textarea><script>alert(1)</script>"
    tab.post(**shoe(brief=hostile, keywords=hostile, product_data=json.dumps({"name": hostile}), brand_voice=hostile))
    assert "<script>alert" not in tab.html
