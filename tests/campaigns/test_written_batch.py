"""The page of a batch of pages: counts, stages, filters, downloads and verbs, for its owner and staff."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client

from campaigns import notices
from campaigns.models import Page
from campaigns.pages.types import Check
from campaigns.writing import packing, reviews
from queue_app import announce
from queue_app.models import Asset, AuditEntry, Batch, Job, Notice, OutboxMessage, User
from tests.campaigns.page_rows import CHECKS, fail, staged_page
from tests.factories import NOON, BatchFactory, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
FORMULA = '=HYPERLINK("http://evil")'


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner() -> User:
    return UserFactory()


@pytest.fixture
def batch(owner: User) -> Batch:
    return BatchFactory(owner=owner, name="Spring shoes")


@pytest.fixture
def client(client_for, owner: User) -> Client:
    return client_for(owner)


def look(client: Client, batch: Batch, query: str = "") -> str:
    answer = client.get(f"/pages/batches/{batch.pk}/{query}")
    assert answer.status_code == 200
    return html_of(answer)


def rows(answer) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


class TestTheTable:
    def test_shows_stages_standing_score_and_reasons(self, client, owner, batch):
        staged_page(owner, batch=batch, score=70, priority_reasons=["140 SKUs: +20", "70 points: high"], verdict="review")
        page = staged_page(owner, "running", stages=3, batch=batch, title="Rain jackets")
        Job.objects.filter(pk=page.pk).update(progress=0.62)
        fail(staged_page(owner, "running", stages=2, batch=batch, title="Poles"))
        html = look(client, batch)
        assert "1 completed, 1 running, 1 failed" in html and "62%, assembly" in html and "failed at components" in html
        assert "3 of 7 stages done, 62%, assembly" in html and html.count('class="gq-seven"') == 3
        assert "Needs review" in html and "140 SKUs: +20" in html and "Retry 1 failed…" in html

    def test_begins_with_the_highest_score(self, client, owner, batch):
        for title, score in (("Low", 20), ("High", 90), ("Middle", 50)):
            staged_page(owner, "queued", stages=0, batch=batch, title=title, score=score)
        by_score, by_title = look(client, batch), look(client, batch, "?order=title")
        assert [*sorted(("High", "Middle", "Low"), key=by_score.index)] == ["High", "Middle", "Low"]
        assert [*sorted(("High", "Middle", "Low"), key=by_title.index)] == ["High", "Low", "Middle"]

    def test_is_filtered_by_status_review_and_words(self, client, owner, batch):
        good = staged_page(owner, batch=batch, title="Gaiters")
        poor = staged_page(owner, batch=batch, title="Poles", verdict="reject")
        waiting = staged_page(owner, "queued", stages=0, batch=batch, title="Torches", url="https://nordfell.example/light")
        reviews.decide(poor, "approve", at=NOON, by=owner)

        def shown(query: str) -> list[int]:
            html = look(client, batch, query)
            return [page.pk for page in (good, poor, waiting) if f'id="line-{page.pk}"' in html]

        assert shown("?tab=queued") == [waiting.pk] and shown("?tab=completed") == [good.pk, poor.pk]
        assert shown("?review=approve") == [good.pk, poor.pk] and shown("?review=reject") == []
        assert shown("?search=pole") == [poor.pk] and shown("?search=light") == [waiting.pk]
        assert shown("?tab=nothing&review=winner&order=1&page=x") == [good.pk, poor.pk, waiting.pk]

    def test_has_50_rows_with_a_fixed_number_of_queries(self, client, owner, batch, django_assert_max_num_queries):
        for number in range(53):
            staged_page(owner, "queued", stages=2 if number < 3 else 0, paid=[], batch=batch, title=f"Page {number}")
        with django_assert_max_num_queries(30):
            html = look(client, batch)
        assert html.count('id="line-') == 50 and "1–50 of 53" in html and 'href="?page=2"' in html
        assert look(client, batch, "?page=2").count('id="line-') == 3

    def test_is_renewed_only_if_something_changed(self, client, owner, batch, monkeypatch):
        page = staged_page(owner, batch=batch)
        monkeypatch.setattr("queue_app.clock.now", lambda: NOON + timedelta(minutes=1))
        address = f"/pages/batches/{batch.pk}/"
        first = client.get(address, headers={"HX-Request": "true"}).content.decode()
        seen = first.split('name="seen" value="')[1].split('"')[0]
        assert client.get(f"{address}?seen={seen}", headers={"HX-Request": "true"}).status_code == 204
        reviews.decide(page, "reject", at=NOON, by=owner)
        assert "1 rejected" in html_of(client.get(f"{address}?seen={seen}", headers={"HX-Request": "true"}))

    def test_shows_hostile_titles_as_text(self, client, owner, batch):
        staged_page(owner, batch=batch, title='<script>alert(1)</script>" onload="x', url="https://x.example/<b>")
        html = look(client, batch)
        assert "<script>alert(1)" not in html and '" onload="x' not in html and "&lt;b&gt;" in html

    def test_says_who_paused_what(self, client, owner, batch):
        staged_page(owner, "queued", stages=0, batch=batch)
        client.post(f"/pages/batches/{batch.pk}/pause/", {"reason": "Quality check"})
        html = look(client, batch)
        assert "paused this batch at" in html and "Quality check" in html and "batch paused" in html
        client.post(f"/pages/batches/{batch.pk}/resume/")
        assert "paused" not in look(client, batch).split('id="table"')[1]


class TestOthers:
    @pytest.mark.parametrize("path", ["", "cancel/", "pause/", "retry-failed/", "pages.csv", "approved.zip", "all.zip"])
    def test_see_nothing(self, client_for, owner, batch, path):
        staged_page(owner, batch=batch)
        assert client_for(UserFactory()).get(f"/pages/batches/{batch.pk}/{path}").status_code == 404

    def test_change_nothing(self, client_for, owner, batch):
        staged_page(owner, "queued", stages=0, batch=batch)
        for path in ("cancel/", "pause/", "resume/", "retry-failed/"):
            assert client_for(UserFactory()).post(f"/pages/batches/{batch.pk}/{path}").status_code == 404
            assert client_for(UserFactory(staff=True)).post(f"/pages/batches/{batch.pk}/{path}").status_code == 403
        assert Job.objects.get().state == "queued"

    def test_batches_have_no_such_page(self, client, owner, batch):
        make_job(owner=owner, batch=batch)
        assert client.get(f"/pages/batches/{batch.pk}/").status_code == 404


class TestVerbs:
    def test_cancel_after_a_preview(self, client, owner, batch):
        staged_page(owner, "queued", stages=0, batch=batch)
        assert "Cancel 1 page" in html_of(client.get(f"/pages/batches/{batch.pk}/cancel/"))
        html = html_of(client.post(f"/pages/batches/{batch.pk}/cancel/", follow=True))
        assert "1 page cancelled. 4 tickets returned." in html and Job.objects.get().state == "cancelled"

    def test_of_a_batch_with_other_jobs_speak_of_jobs(self, client, owner, batch):
        staged_page(owner, "queued", stages=0, batch=batch)
        make_job(owner=owner, batch=batch)
        assert "Cancel 2 jobs" in html_of(client.get(f"/pages/batches/{batch.pk}/cancel/"))
        assert "Batch of 1 page" in look(client, batch)

    def test_retry_exactly_what_was_shown(self, client, owner, batch):
        fail(staged_page(owner, "running", stages=2, batch=batch))
        address = f"/pages/batches/{batch.pk}/retry-failed/"
        assert "Retry 1 page for 1 ticket" in html_of(client.get(address))
        assert client.post(address, {"jobs": "2", "tickets": "8"}).status_code == 409
        html = html_of(client.post(address, {"jobs": "1", "tickets": "1"}, follow=True))
        assert "1 page back in the queue." in html and Job.objects.get().state == "queued"

    def test_pause_of_staff_needs_a_reason_and_is_audited(self, client_for, owner, batch):
        staged_page(owner, "queued", stages=0, batch=batch)
        staff = client_for(UserFactory(staff=True, rights=["operate_queue"]))
        assert "Enter a reason." in html_of(staff.post(f"/pages/batches/{batch.pk}/pause/"))
        staff.post(f"/pages/batches/{batch.pk}/pause/", {"reason": "Budget"})
        assert Batch.objects.get().paused and AuditEntry.objects.get().reason == "Budget"


class TestDownloads:
    def test_of_approved_pages_have_their_three_files(self, client, owner, batch):
        staged_page(owner, batch=batch, title="Trail shoes")
        staged_page(owner, batch=batch, title="Poles", verdict="review")
        staged_page(owner, batch=batch, title="../../etc/passwd")
        answer = client.get(f"/pages/batches/{batch.pk}/approved.zip")
        archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
        assert f'filename="pages-{batch.pk}-spring-shoes-approved.zip"' in answer["Content-Disposition"]
        assert [name for name in archive.namelist() if name.endswith(".html")] == ["1-trail-shoes.html", "2-etcpasswd.html"]
        assert archive.read("1-trail-shoes.md").startswith(b"# Trail running shoes for wet rock")
        assert b'"@context"' in archive.read("1-trail-shoes.jsonld")

    @pytest.mark.parametrize(("name", "named"), [("spring.CSV", "spring"), ("v1.5", "v15"), (".csv", "")])
    def test_are_named_without_the_ending_of_the_file_of_rows(self, name, named):
        assert packing.file_name(Batch(pk=5, name=name), ".csv") == f"pages-5{named and '-' + named}.csv"

    def test_of_all_pages_name_what_is_missing(self, client, owner, batch):
        staged_page(owner, batch=batch, title="靴", verdict="reject")
        default_storage.delete(Asset.objects.get(kind="markdown").name)
        archive = zipfile.ZipFile(io.BytesIO(b"".join(client.get(f"/pages/batches/{batch.pk}/all.zip").streaming_content)))
        assert archive.namelist() == ["1-靴.html", "1-靴.jsonld", "missing.txt"]
        assert "1-靴.md" in archive.read("missing.txt").decode()

    def test_of_nothing_say_so(self, client, owner, batch):
        staged_page(owner, batch=batch, verdict="review")
        html = html_of(client.get(f"/pages/batches/{batch.pk}/approved.zip", follow=True))
        assert "Nothing to download yet. Approve at least one page first." in html

    def test_as_csv_have_the_figures_of_all_checks_and_run_no_formula(self, client, owner, batch):
        odd = Check(FORMULA, "fail", FORMULA, "", "")
        page = staged_page(owner, batch=batch, title=FORMULA, checks=[*CHECKS, odd], score=70)
        reviews.decide(page, "reject", at=NOON, by=owner, note=FORMULA)
        staged_page(owner, "queued", stages=0, batch=batch)
        first, second = rows(client.get(f"/pages/batches/{batch.pk}/pages.csv"))
        assert (first["status"], first["review"], first["reviewed by"]) == ("completed", "rejected", owner.username)
        assert (first["words: figure"], first["reading ease"], first["score"], first["tickets charged"]) == (
            "742",
            "warn",
            "70",
            "4",
        )
        assert first["title"] == first["note"] == first[f"'{FORMULA}: figure"] == f"'{FORMULA}"
        assert (second["status"], second["review"], second["words: figure"], second["tickets charged"]) == ("queued", "", "", "0")


class TestLinks:
    def test_of_jobs_lead_to_the_page(self, client, owner, batch):
        page = staged_page(owner, batch=batch)
        jobs = html_of(client.get("/jobs/"))
        assert f'href="/pages/{page.pk}/"' in jobs and f'href="/pages/batches/{batch.pk}/"' in jobs
        assert f'id="to-the-page" class="gq-btn" href="/pages/{page.pk}/"' in html_of(client.get(f"/jobs/{page.pk}/"))

    def test_of_a_cancel_and_a_retry_lead_back_to_the_page(self, client, owner):
        page = staged_page(owner, "queued", stages=0)
        assert f'href="/pages/{page.pk}/"' in html_of(client.get(f"/jobs/{page.pk}/cancel/"))
        assert client.post(f"/jobs/{page.pk}/cancel/")["Location"] == f"/pages/{page.pk}/"

    @transaction.atomic
    def test_of_notices_lead_to_the_batch_and_to_the_page(self, owner, batch):
        page = staged_page(owner, batch=batch)
        Batch.objects.filter(pk=batch.pk).update(ended_at=NOON)
        announce.batch_ended(Batch.objects.get(), at=NOON)
        notices.deliver(OutboxMessage.objects.get(event=announce.BATCH_ENDED, channel=announce.NOTICES).pk)
        notice = Notice.objects.get()
        assert (notice.url, notices.link_words(notice.url)) == (f"/pages/batches/{batch.pk}/", "Open pages")
        assert notices.link_words(f"/pages/{page.pk}/") == "Open page"
        assert Page.objects.count() == 1
