"""The player: a result in a dialog, with its review, which goes on to the next one."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import launch, review
from campaigns.models import Campaign, Combination
from campaigns.models.combination import Review
from queue_app import lifecycle
from queue_app.models import Asset, AuditEntry, Job, State, User
from tests.campaigns.support import as_page, bring, full_matrix, jobs_of, make_campaign
from tests.campaigns.test_page import HTMX, operator, text_of, with_pictures
from tests.factories import NOON, UserFactory, make_asset, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
QUERIES_MOST = 14


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=10_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def opened(web: Client, job: Job) -> str:
    answer = web.get(f"/jobs/{job.pk}/play/", headers=HTMX)
    assert answer.status_code == 200
    return html_of(answer)


def judged(web: Client, job: Job, verdict: str, **fields: str) -> str:
    return html_of(web.post(f"/jobs/{job.pk}/play/review/", {"review": verdict, **fields}, headers=HTMX))


def verdict_of(job: Job) -> str:
    return Combination.objects.get(job=job).review


class TestWhatItShows:
    def test_a_video_with_its_name_its_place_and_its_review(self, web: Client, owner: User) -> None:
        first, second, *_ = jobs_of(make_campaign(owner))
        with_pictures(first)
        bring(second, State.COMPLETED)
        video = first.assets.get(kind="video")
        html = opened(web, first)
        assert re.search(rf'<video id="player-film" controls playsinline preload="auto" src="/files/{video.pk}/', html)
        said = text_of(html)
        assert "1 of 2 completed, 0:04 UGC, Energetic Not reviewed, sora-2 Approve a Reject r Winner w" in said
        assert f'id="player-after" aria-label="Next" data-step="/jobs/{second.pk}/play/"' in html
        assert 'id="player-before" aria-label="Previous" disabled' in html
        assert html.count("data-step=") == 3  # the strip, and the next one

    @pytest.mark.parametrize(
        ("model", "kind", "content_type", "shown"),
        [
            ("nano-banana", "image", "image/png", r'<img src="/files/[^"]+" alt="UGC'),
            ("text-writer", "page", "text/html", r'<iframe sandbox src="/files/'),
        ],
    )
    def test_each_medium_is_shown_as_what_it_is(
        self, web: Client, owner: User, model: str, kind: str, content_type: str, shown: str
    ) -> None:
        job = jobs_of(make_campaign(owner, model=model, duration=None))[0]
        delivered(job, [{"kind": kind, "content_type": content_type}])
        if kind == "page":
            as_page(job)
        html = opened(web, job)
        assert re.search(shown, html)
        assert "<video" not in html

    def test_all_pictures_of_one_job_are_there(self, web: Client, owner: User) -> None:
        job = make_job(model_id="nano-banana", kind_id="image", owner=owner)
        delivered(job, [{"kind": "image", "content_type": "image/png", "number": number} for number in (1, 2, 3)])
        assert opened(web, job).count("<img src=") == 3

    def test_a_text_can_be_read(self, web: Client, owner: User, settings: Any, tmp_path: Path) -> None:
        settings.MEDIA_ROOT = str(tmp_path)
        job = make_job(model_id="text-writer", kind_id="text", owner=owner)
        text = b"Laces <tighten> in the dark."
        name = default_storage.save(f"assets/2026/11/{uuid.uuid4()}.txt", ContentFile(text))
        delivered(job, [{"kind": "text", "content_type": "text/plain", "name": name, "size": len(text)}])
        assert "Laces &lt;tighten&gt; in the dark." in opened(web, job)

    def test_a_file_that_expired_is_said_to_be_gone(self, web: Client, owner: User) -> None:
        job = jobs_of(make_campaign(owner))[0]
        bring(job, State.COMPLETED)
        Asset.objects.update(expired_at=NOON)
        assert "This file expired and was deleted" in opened(web, job)

    def test_a_replaced_version_plays_but_is_not_reviewed(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner)
        old = jobs_of(campaign)[0]
        bring(old, State.COMPLETED)
        launch.make_again(campaign.combinations.order_by("index")[0], "Slower.", at=NOON, by=owner)
        html = opened(web, old)
        assert "Another version of this combination counts for review." in html
        assert "Approve" not in html and "<video" in html

    def test_without_htmx_it_leads_to_the_page_of_the_job(self, web: Client, owner: User) -> None:
        job = make_job(State.COMPLETED, owner=owner)
        assert web.get(f"/jobs/{job.pk}/play/").headers["Location"] == f"/jobs/{job.pk}/"
        assert "Approve" not in opened(web, job)  # of no campaign

    def test_of_660_results_it_takes_as_many_queries_as_of_2(self, web: Client, owner: User) -> None:
        counts = []
        for dimensions in (None, full_matrix()):
            jobs = jobs_of(make_campaign(owner, dimensions))
            for job in jobs[:2]:
                bring(job, State.COMPLETED)
            with CaptureQueriesContext(connection) as queries:
                opened(web, jobs[0])
            counts.append(len(queries))
        assert counts[0] == counts[1] <= QUERIES_MOST


class TestReview:
    @pytest.fixture
    def campaign(self, owner: User) -> Campaign:
        campaign = make_campaign(owner)
        for job in jobs_of(campaign)[:3]:
            bring(job, State.COMPLETED)
        return campaign

    def test_goes_on_to_the_next_one_without_a_review(self, web: Client, owner: User, campaign: Campaign) -> None:
        first, second, third, _ = jobs_of(campaign)
        review.judge(second.combination, Review.WINNER, at=NOON, by=owner)
        html = judged(web, first, "approved", note="Softer light.")
        assert verdict_of(first) == "approved"
        assert Combination.objects.get(job=first).note == "Softer light."
        assert f'data-job="{third.pk}"' in html
        assert "Approved: UGC, Energetic Undo" in text_of(html)

    def test_after_the_last_it_begins_again_at_the_first(self, web: Client, campaign: Campaign) -> None:
        first, _, third, _ = jobs_of(campaign)
        assert f'data-job="{first.pk}"' in judged(web, third, "rejected")

    def test_of_the_only_one_left_stays(self, web: Client, owner: User, campaign: Campaign) -> None:
        first, *others = jobs_of(campaign)[:3]
        for job in others:
            review.judge(job.combination, Review.APPROVED, at=NOON, by=owner)
        assert f'data-job="{first.pk}"' in judged(web, first, "approved")

    def test_gives_the_cell_of_the_page_as_it_is_now(self, web: Client, campaign: Campaign) -> None:
        html = judged(web, jobs_of(campaign)[0], "rejected")
        (renewed,) = re.findall(r"<template data-renewed>(.*?)</template>", html)
        assert 'id="at-1"' in renewed and "is-rejected" in renewed and 'data-is="completed rejected"' in renewed

    def test_can_be_undone(self, web: Client, campaign: Campaign) -> None:
        first = jobs_of(campaign)[0]
        html = judged(web, first, "approved")
        form = html[html.index('class="gq-done"') :]
        assert f'action="/jobs/{first.pk}/play/review/"' in form
        fields = dict(re.findall(r'<input type="hidden" name="(review|stay)" value="(\w*)">', form))
        html = judged(web, first, fields["review"], stay=fields["stay"])
        assert verdict_of(first) == "" and f'data-job="{first.pk}"' in html and "Undo" not in text_of(html)

    def test_a_note_that_is_too_long_stays_typed_and_nothing_is_saved(self, web: Client, campaign: Campaign) -> None:
        first = jobs_of(campaign)[0]
        html = judged(web, first, "approved", note="x" * 1001)
        assert "Too long: 1,001 of 1,000 characters." in html and "x" * 1001 in html
        assert verdict_of(first) == "" and f'data-job="{first.pk}"' in html

    @pytest.mark.parametrize("state", [State.RUNNING, State.QUEUED])
    def test_of_what_is_not_completed_is_refused_in_words(self, web: Client, campaign: Campaign, state: State) -> None:
        job = jobs_of(campaign)[3]
        if state == State.RUNNING:
            bring(job, state)
        assert "You can only review completed videos." in judged(web, job, "approved")
        assert "Choose approve, reject or winner." in judged(web, job, "lovely")

    def test_of_others_is_404_and_of_staff_without_the_right_403(self, client_for: Login, campaign: Campaign) -> None:
        first = jobs_of(campaign)[0]
        stranger, staff = client_for(UserFactory()), client_for(UserFactory(staff=True))
        assert stranger.get(f"/jobs/{first.pk}/play/", headers=HTMX).status_code == 404
        assert stranger.post(f"/jobs/{first.pk}/play/review/", {"review": "approved"}).status_code == 404
        assert "Approve" not in opened(staff, first)
        assert staff.post(f"/jobs/{first.pk}/play/review/", {"review": "approved"}).status_code == 403
        judged(client_for(operator()), first, "approved")
        assert AuditEntry.objects.get(action="review combination").after == {"review": "approved"}


def delivered(job: Job, files: list[dict[str, object]]) -> None:
    """Complete a job with these files."""
    bring(job, State.STORING)
    with transaction.atomic():
        stored = Job.objects.lock().get(pk=job.pk)
        lifecycle.complete(stored, [make_asset(stored, **file) for file in files], at=NOON, actor="worker", stages=[])
