"""The page of a page: its stages while it is written, then preview, checks and versions; who sees it, and what they decide."""

import re
from collections.abc import Iterator

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from campaigns.models import Page
from campaigns.pages.pipeline import COMPONENTS
from campaigns.pages.types import Check, Product
from campaigns.writing import progress, reviews
from queue_app.models import Asset, AuditEntry, Job, JobStage, User
from tests.campaigns.page_rows import CHECKS, TEXTS, fail, staged_page
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
MARKUP = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7|add:7 }}"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner() -> User:
    return UserFactory()


@pytest.fixture
def client(client_for, owner: User) -> Client:
    return client_for(owner)


def look(client: Client, page: Page, query: str = "") -> str:
    answer = client.get(f"/pages/{page.pk}/{query}")
    assert answer.status_code == 200
    return html_of(answer)


def pieces(html: str, name: str) -> Iterator[str]:
    """The texts of all elements with this name."""
    return (part.split(f"</{name}>")[0] for part in html.split(f"<{name}>")[1:])


class TestAFinishedPage:
    def test_shows_stages_checks_search_result_and_files(self, client, owner):
        page = staged_page(owner)
        html = look(client, page)
        assert html.count('<li class="done">') == 7 and "took 14s" in html
        assert html.count("Approved by checks") == 2 and "No check failed. Not reviewed yet." in html
        assert "2 of 3 pass" in html and "Shorten the sentences of the main text." in html
        assert "nordfell.example › en › trail-running-shoes" in html
        assert f'sandbox src="/pages/{page.pk}/preview/?whole"' in html
        assert [f'id="file-{kind}"' in html for kind in ("page", "markdown", "json-ld")] == [True] * 3

    def test_shows_failed_checks_first_with_what_they_found(self, client, owner):
        failed = Check("grounding", "fail", "9 of 31", "none", "Remove them.", ("body",), tuple(f"{n} kg" for n in range(9)))
        html = look(client, staged_page(owner, checks=[*CHECKS, failed], verdict="reject"))
        assert html.index("Remove them.") < html.index("600 to 900")
        assert "5 kg" in html and "6 kg" not in html and "3 more" in html

    @pytest.mark.parametrize("show", ["html", "markdown"])
    def test_shows_its_sources_as_text(self, client, owner, show):
        page = staged_page(owner)
        html = look(client, page, f"?show={show}")
        assert f'id="shown" name="show" value="{show}"' in html and "<iframe" not in html
        assert ("&lt;h1&gt;" if show == "html" else "# Trail running shoes for wet rock") in html

    def test_compares_the_words_of_two_versions(self, client, owner):
        staged_page(owner)
        second = staged_page(
            owner, version=2, texts={"faq": {"questions": [{"question": "What does it weigh?", "answer": "6 mm."}]}}
        )
        html = look(client, second, "?show=changes")
        assert "Version 1 → version 2" in html
        assert (list(pieces(html, "del"))[1:], list(pieces(html, "ins"))[1:]) == (["240 g"], ["6 mm"])

    def test_sends_the_compared_version_along_with_each_refresh(self, client, owner):
        for number in (1, 2):
            staged_page(owner, version=number)
        html = look(client, staged_page(owner, version=3), "?show=changes&against=1")
        assert "Version 1 → version 3" in html and 'id="against" name="against" value="1"' in html
        assert 'hx-include="#seen, #shown, #against"' in html

    def test_whose_files_were_deleted_shows_no_sources(self, client, owner):
        page = staged_page(owner)
        Asset.objects.filter(job=page.pk).update(expired_at=NOON)
        html = look(client, page, "?show=markdown")
        assert 'id="show-markdown"' not in html and "<iframe" in html

    def test_whose_file_is_missing_shows_an_empty_source(self, client, owner):
        page = staged_page(owner)
        default_storage.delete(Asset.objects.get(job=page.pk, kind="markdown").name)
        assert '<pre class="gq-source"' in look(client, page, "?show=markdown")

    def test_asks_as_many_questions_with_ten_versions_as_with_one(self, client, owner, django_assert_max_num_queries):
        first = staged_page(owner)
        look(client, first)
        for version in range(2, 7):
            staged_page(owner, version=version)
        with django_assert_max_num_queries(40) as asked:
            look(client, first)
        for version in range(7, 12):
            staged_page(owner, version=version)
        with django_assert_max_num_queries(len(asked)):
            look(client, first)


class TestARunningPage:
    def test_shows_its_stage_and_what_is_written_so_far(self, client, owner):
        page = staged_page(owner, "running", stages=2, paid=["meta", "hero"])
        html = look(client, page)
        assert "Stage 3 of 7: components" in html and "3 of 5" in html and "writing" in html
        assert "Result so far" in html and f"/pages/{page.pk}/preview/?3" in html
        shown = client.get(f"/pages/{page.pk}/preview/").content.decode()
        assert (
            "<mark>Trail running shoes</mark> for wet rock" in shown and "240 g" in shown and "What does it weigh?" not in shown
        )

    def test_is_renewed_in_parts_and_not_at_all_if_nothing_changed(self, client, owner, monkeypatch):
        page = staged_page(owner, "running", stages=2, paid=["meta"])
        monkeypatch.setattr("queue_app.clock.now", lambda: NOON)
        first = client.get(f"/pages/{page.pk}/", headers={"HX-Request": "true"}).content.decode()
        seen = first.split('name="seen" value="')[1].split('"')[0]
        assert first.count("hx-swap-oob") == 7
        same = client.get(f"/pages/{page.pk}/?seen={seen}", headers={"HX-Request": "true"})
        hero = {"step": "hero", "started_at": NOON, "ended_at": NOON, "seconds": 1.0, "sha256": "0", "result": TEXTS["hero"]}
        JobStage.objects.create(job=page.job, name=COMPONENTS, **hero)
        later = client.get(f"/pages/{page.pk}/?seen={seen}", headers={"HX-Request": "true"})
        assert (same.status_code, later.status_code) == (204, 200)
        assert "3 of 5" in html_of(later)

    def test_stops_after_its_current_call_whatever_a_provider_confirms(self, client, owner):
        page = staged_page(owner, "running", stages=2)
        asked = html_of(client.get(f"/jobs/{page.pk}/cancel/"))
        assert '<b>cancelling</b><span class="gq-sub">Stops after its current call.</span>' in asked
        assert "confirms" not in asked and "returned</b> when running jobs stop." in asked
        said = html_of(client.post(f"/jobs/{page.pk}/cancel/", follow=True))
        assert "Cancel requested. Stops after its current call." in said
        for html in (said, html_of(client.get(f"/jobs/{page.pk}/"))):
            assert re.search(r"Cancel requested at [^<]*</b> Stops after its current call.", html) and "confirmed" not in html

    def test_without_a_component_has_no_preview(self, client, owner):
        page = staged_page(owner, "running", stages=1)
        assert "<iframe" not in look(client, page)
        assert client.get(f"/pages/{page.pk}/preview/").status_code == 404

    def test_that_is_queued_says_why_it_waits(self, client, owner):
        html = look(client, staged_page(owner, "queued", stages=0))
        assert "Why it's waiting" in html and "Position 1" in html and "Cancel…" in html

    def test_that_failed_says_what_is_kept(self, client, owner):
        page = staged_page(owner, "running", stages=2, paid=["meta"])
        fail(page)
        html = look(client, page)
        assert "The answer is not JSON." in html and "2 of 7 stages and 2 of 5 components are kept." in html and "Retry…" in html

    def test_counts_words_in_a_language_without_blanks(self, owner):
        text = {"headline": "濡れた岩に強い靴", "lead": "重さは軽い。"}
        page = staged_page(owner, "running", stages=2, paid=["hero"], texts={"hero": text}, language="ja")
        sizes = {one.key: one.size for one in progress.of_job(page.job, at=NOON).components}
        assert (sizes["hero"], sizes["specs"]) == ("7 words", "6 rows")


class TestHostileText:
    def test_is_text_wherever_a_page_shows_it(self, client, owner):
        hostile = {"hero": {"headline": MARKUP, "lead": MARKUP}, "meta": {"title": MARKUP, "description": MARKUP}}
        found = Check(MARKUP, "fail", MARKUP, MARKUP, MARKUP, (), (MARKUP,))
        product = Product(MARKUP, attributes={MARKUP: MARKUP})
        page = staged_page(owner, title=MARKUP, checks=[found], texts=hostile, products=[product])
        reviews.decide(page, "reject", at=NOON, by=owner, note=MARKUP)
        second = staged_page(owner, title=MARKUP, texts=hostile, version=2)
        for one, query in ((page, ""), (page, "?show=html"), (page, "?show=markdown"), (second, "?show=changes")):
            html = look(client, one, query)
            assert "<script>alert(1)" not in html and "<img src=x" not in html and ESCAPED in html

    def test_is_sandboxed_in_the_preview(self, client, owner):
        page = staged_page(owner, texts={"hero": {"headline": MARKUP, "lead": MARKUP}}, title=MARKUP)
        answer = client.get(f"/pages/{page.pk}/preview/")
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'") and "script-src" not in policy
        assert answer["X-Frame-Options"] == "SAMEORIGIN" and "no-store" in answer["Cache-Control"]
        shown = answer.content.decode()
        assert "<script" not in shown and "<img" not in shown and ESCAPED in shown and "{{ 7|add:7 }}" in shown

    def test_with_marked_keywords_is_escaped_as_before(self, client, owner):
        text = {"headline": "Grip & <b>grip</b>", "lead": "The GRIP of Fell Soft."}
        shown = client.get(f"/pages/{staged_page(owner, title='grip', texts={'hero': text}).pk}/preview/").content.decode()
        assert "<mark>Grip</mark> &amp; &lt;b&gt;<mark>grip</mark>&lt;/b&gt;" in shown and "The <mark>GRIP</mark> of" in shown

    def test_in_an_address_is_no_link(self, client, owner):
        assert 'href="javascript:' not in look(client, staged_page(owner, url="javascript:alert(1)"))


class TestOthers:
    @pytest.mark.parametrize("path", ["", "preview/", "version/"])
    def test_see_nothing(self, client_for, owner, path):
        page = staged_page(owner)
        assert client_for(UserFactory()).get(f"/pages/{page.pk}/{path}").status_code == 404

    def test_change_nothing(self, client_for, owner):
        page = staged_page(owner)
        for path in ("review/", "version/"):
            assert client_for(UserFactory()).post(f"/pages/{page.pk}/{path}", {"decision": "approve"}).status_code == 404
        assert client_for(UserFactory(staff=True)).post(f"/pages/{page.pk}/review/", {"decision": "approve"}).status_code == 403
        assert Page.objects.get().decision == ""

    def test_who_are_logged_out_are_asked_to_log_in(self, owner):
        page = staged_page(owner)
        assert Client().get(f"/pages/{page.pk}/preview/")["Location"].startswith("/login/")

    def test_who_are_staff_see_whose_it_is(self, client_for, owner):
        html = look(client_for(UserFactory(staff=True)), staged_page(owner))
        assert f"by {owner}" in html and 'id="do-approve"' not in html


class TestADecision:
    def test_counts_instead_of_the_checks_and_is_undone(self, client, owner):
        page = staged_page(owner, verdict="reject")
        client.post(f"/pages/{page.pk}/review/", {"decision": "approve", "note": "Fine by me."})
        decided = Page.objects.get()
        assert (decided.standing, decided.decided_by, decided.note) == ("approve", owner, "Fine by me.")
        html = look(client, page)
        assert "Approved by you at" in html and "Fine by me." in html and 'id="do-approve"' not in html
        client.post(f"/pages/{page.pk}/review/", {"decision": ""})
        undone = Page.objects.get()
        assert (undone.standing, undone.decided_by, undone.decided_at, undone.note) == ("reject", None, None, "Fine by me.")
        assert not AuditEntry.objects.exists()

    def test_of_staff_is_audited(self, client_for, owner):
        page = staged_page(owner)
        operator = UserFactory(staff=True, rights=["operate_queue"])
        client_for(operator).post(f"/pages/{page.pk}/review/", {"decision": "reject", "note": "No."})
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.after) == ("review page", operator, {"decision": "reject", "note": "No."})

    @pytest.mark.parametrize(
        "sent", [{"decision": "review"}, {"decision": "winner"}, {"decision": "approve", "note": "x" * 1001}]
    )
    def test_that_is_none_changes_nothing(self, client, owner, sent):
        page = staged_page(owner)
        html = html_of(client.post(f"/pages/{page.pk}/review/", sent, follow=True))
        assert "Not saved." in html and Page.objects.get().decision == ""

    def test_waits_for_the_page(self, client, owner):
        page = staged_page(owner, "running", stages=2)
        html = html_of(client.post(f"/pages/{page.pk}/review/", {"decision": "approve"}, follow=True))
        assert "You can only review completed pages. This one is running." in html


class TestAPageThatEndedEarly:
    @pytest.mark.parametrize(("stages", "words"), [(1, "1 of 7 stages is kept."), (3, "3 of 7 stages are kept.")])
    def test_says_what_is_kept(self, client, owner, stages, words):
        assert words in look(client, staged_page(owner, "cancelled", stages=stages))


class TestItsJob:
    def test_is_under_pages_and_tells_its_two_links_apart(self, client, owner):
        page = staged_page(owner, label="Trail running shoes", prompt="Trail running shoes for wet rock.")
        html = html_of(client.get(f"/jobs/{page.pk}/"))
        assert re.search(r'href="/pages/" aria-current="true"', html) and 'href="/campaigns/" aria-current' not in html
        assert ">Open page<" in html and ">Open HTML file<" in html and "Bold:" not in html

    def test_has_times_like_its_page(self, client, owner):
        page = staged_page(owner)
        JobStage.objects.filter(name="post-processing").update(seconds=0.01)
        for path in (f"/pages/{page.pk}/", f"/jobs/{page.pk}/"):
            html = html_of(client.get(path))
            assert re.search(r"Post-processing</b><span class=\"gq-sub\">&lt;0.1s<", html)


class TestANewVersion:
    def test_is_queued_once_with_another_brief_and_voice(self, client, owner):
        page = staged_page(owner)
        form = look(client, page, "version/")
        assert "Generate version for 1 ticket" in form and "Sell the grip." in form and ">Dry.<" in form
        sent = {"brief": "Shorter.", "voice": "Warm.", "key": "k", "jobs": "1", "tickets": "1"}
        for _ in range(2):
            answer = client.post(f"/pages/{page.pk}/version/", sent)
        second = Page.objects.get(version=2)
        assert answer["Location"] == f"/pages/{second.pk}/"
        assert (second.job.prompt, second.job.metadata["brand_voice"]) == ("Shorter.", "Warm.")
        assert Job.objects.count() == 2

    def test_without_a_brief_asks_for_one_in_an_empty_field_as_long_as_a_brief_may_be(self, client, owner):
        page = staged_page(owner, prompt="Product page: Trail running shoes")
        form = look(client, page, "version/")
        assert 'maxlength="8000"></textarea>' in form and 'maxlength="2000">Dry.<' in form

    def test_at_another_price_than_shown_is_shown_again(self, client, owner):
        page = staged_page(owner)
        sent = {"brief": "Shorter.", "voice": "", "key": "k", "jobs": "1", "tickets": "3"}
        answer = client.post(f"/pages/{page.pk}/version/", sent)
        assert answer.status_code == 409 and ">\nShorter.<" in answer.content.decode() and Job.objects.count() == 1
