"""The pages of share links: the team's, where links are created, and the visitors', who have no account."""

import re
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from campaigns import review, sharing
from campaigns.models import ClientReview, Combination, ShareLink
from campaigns.sharing import NewLink
from campaigns.views import shared as pages
from queue_app import clock
from queue_app.models import Asset
from queue_app.ui import pace, shared_pace
from tests.campaigns.support import as_page, bring, full_matrix, jobs_of, make_campaign
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
FORM = {"label": "Alder", "access": "answer", "shows": "completed", "days": "7"}


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path)


@pytest.fixture(autouse=True)
def time_of_rates_stands_still(monkeypatch):
    """And calls of other tests do not count."""
    pace.forget()
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(shared_pace, "settle", lambda spending: None)


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells, the first three stored; the team rejected the second, with a note."""
    made = make_campaign(owner, name="Autumn scent")
    for job in jobs_of(made)[:3]:
        bring(job, "completed")
    review.judge(cell(made, 2), "rejected", at=NOON, by=owner, note="The client must not read this.")
    return made


@pytest.fixture
def token(campaign, owner):
    return shared(campaign, owner)


@pytest.fixture
def visitor():
    """A browser without an account, which checks forms as browsers make servers do."""
    return Client(enforce_csrf_checks=False)


def cell(campaign, index):
    return Combination.objects.get(campaign=campaign, index=index)


def shared(campaign, owner, **new):
    known = {"label": "Alder, first round", "may_answer": True, **new}
    return sharing.create(campaign, NewLink(uuid.uuid4(), **known), at=clock.now(), by=owner)[1]


def video_page(token, index, query=""):
    return reverse("campaigns:shared-result", args=[token, index]) + query


def file_page(token, asset):
    return reverse("campaigns:shared-file", args=[token, asset.pk, asset.file_name])


def answer_page(token, index, query=""):
    return reverse("campaigns:shared-answer", args=[token, index]) + query


def stored(campaign, index=1):
    asset = Asset.objects.get(job=cell(campaign, index).job)
    default_storage.save(asset.name, ContentFile(b"film" * 250))
    return asset


class TestTheTeamsPage:
    def address(self, campaign):
        return reverse("campaigns:share", args=[campaign.pk])

    def test_creates_a_link_and_shows_its_address_once(self, campaign, owner, client_for, visitor):
        team = client_for(owner)

        answer = team.post(self.address(campaign), FORM | {"form_key": str(uuid.uuid4())})

        html = html_of(answer)
        (address,) = re.findall(r'<code[^>]*id="address">([^<]+)</code>', html)
        assert answer.status_code == 201 and "no-store" in answer["Cache-Control"]
        assert visitor.get(address, follow=True).status_code == 200
        token = address.rstrip("/").rpartition("/")[2]
        assert token not in html_of(team.get(self.address(campaign)))
        assert token not in str(dict(team.session))

    def test_says_so_when_a_form_is_sent_again(self, campaign, owner, client_for):
        team, form = client_for(owner), FORM | {"form_key": str(uuid.uuid4())}
        team.post(self.address(campaign), form)

        html = html_of(team.post(self.address(campaign), form, follow=True))

        assert "This link exists already." in html and "/s/" not in html and ShareLink.objects.count() == 1

    def test_says_at_the_field_what_is_wrong(self, campaign, owner, client_for):
        answer = client_for(owner).post(self.address(campaign), FORM | {"label": " ", "days": "x", "shows": "y"})

        html = html_of(answer)
        assert answer.status_code == 422 and "Enter who the link is for." in html
        assert "Choose how long the link works." in html and "Choose what the link shows." in html

    def test_lists_links_with_what_became_of_them(self, campaign, owner, client_for, token, visitor):
        visitor.post(answer_page(token, 1), {"name": "Maria", "review": "approved"})
        visitor.get(reverse("campaigns:shared", args=[token]))
        shared(campaign, owner, label=HOSTILE[:60], may_answer=False)

        html = html_of(client_for(owner).get(self.address(campaign)))

        assert "Alder, first round" in html and "Approve and comment" in html and "View only" in html
        assert "<script>alert" not in html and "&lt;script&gt;" in html
        assert ">Never<" in html and html.count(">Revoke</button>") == 2

    def test_revokes_a_link_at_once(self, campaign, owner, client_for, token, visitor):
        link = ShareLink.objects.get()
        asset = stored(campaign)
        assert visitor.get(file_page(token, asset)).status_code == 200

        html = html_of(client_for(owner).post(reverse("campaigns:share-revoke", args=[campaign.pk, link.pk]), follow=True))

        assert "Its address no longer works." in html and "Revoked" in html
        assert {visitor.get(one).status_code for one in (video_page(token, 1), file_page(token, asset))} == {404}
        assert visitor.post(answer_page(token, 1), {"name": "Maria", "review": "approved"}).status_code == 404

    def test_takes_the_visitors_reviews_over(self, campaign, owner, client_for, token, visitor):
        visitor.post(answer_page(token, 1), {"name": "Maria", "review": "approved"})
        visitor.post(answer_page(token, 2), {"name": "Maria", "review": "approved"})
        team = client_for(owner)
        assert "Adopt 1 review" in html_of(team.get(self.address(campaign)))

        html = html_of(team.post(reverse("campaigns:share-adopt", args=[campaign.pk]), follow=True))

        assert "1 video reviewed as your clients did." in html
        assert [cell(campaign, index).review for index in (1, 2)] == ["approved", "rejected"]

    def test_is_for_those_who_may_change_the_campaign(self, campaign, client_for, token):
        link, stranger, watcher = ShareLink.objects.get(), client_for(UserFactory()), client_for(UserFactory(staff=True))
        revoke = reverse("campaigns:share-revoke", args=[campaign.pk, link.pk])

        for browser, status in ((stranger, 404), (watcher, 403)):
            assert browser.get(self.address(campaign)).status_code == status
            assert browser.post(self.address(campaign), FORM).status_code == status
            assert browser.post(revoke).status_code == status
            assert browser.post(reverse("campaigns:share-adopt", args=[campaign.pk])).status_code == status
        assert ShareLink.objects.get().revoked_at is None

    def test_revokes_no_link_of_another_campaign(self, campaign, owner, client_for, token):
        other = make_campaign(owner)

        answer = client_for(owner).post(reverse("campaigns:share-revoke", args=[other.pk, ShareLink.objects.get().pk]))

        assert answer.status_code == 404 and ShareLink.objects.get().revoked_at is None

    def test_is_open_to_operators_and_in_the_audit(self, campaign, client_for):
        operator = UserFactory(staff=True, rights=["operate_queue"])

        assert client_for(operator).post(self.address(campaign), FORM | {"form_key": str(uuid.uuid4())}).status_code == 201
        assert ShareLink.objects.get().created_by == operator


class TestWhatAVisitorSees:
    def test_is_one_video_at_a_time_without_logging_in(self, campaign, token, visitor):
        answer = visitor.get(reverse("campaigns:shared", args=[token]), follow=True)

        html = html_of(answer)
        assert answer.redirect_chain == [(video_page(token, 1), 302)]
        assert html.count("<video") == 1 and "<h1>UGC · Energetic</h1>" in html and "<b>0 of 3</b> reviewed" in html
        assert re.findall(r'id="film-(\d)"', html) == ["1", "2", "3"]

    def test_is_nothing_of_what_the_team_says_or_of_how_it_was_made(self, campaign, token, visitor):
        for index in (1, 2, 3):
            html = html_of(visitor.get(video_page(token, index)))

            assert "must not read this" not in html and "The parcel opens" not in html and "sora-2" not in html
            assert "is-rejected" not in html and '>Rejected <b id="count-rejected">0</b>' in html
            assert "/campaigns/" not in html and "/jobs/" not in html and "/files/" not in html.replace(f"/s/{token}/files/", "")

    def test_is_the_same_for_somebody_who_is_logged_in(self, campaign, token, client_for):
        for user in (UserFactory(), UserFactory(staff=True), UserFactory(admin=True)):
            html = html_of(client_for(user).get(video_page(token, 1)))

            assert "must not read this" not in html and "gq-top" not in html and "gq-pill" not in html

    def test_has_no_buttons_where_the_link_is_for_watching(self, campaign, owner, visitor):
        token = shared(campaign, owner, may_answer=False)

        html = html_of(visitor.get(video_page(token, 1)))

        assert "<form" not in html and "data-verdict" not in html and "<video" in html
        assert visitor.post(answer_page(token, 1), {"name": "Maria", "review": "approved"}).status_code == 422
        assert not ClientReview.objects.exists()

    @pytest.mark.parametrize(
        ("model", "content", "shown"),
        [
            ("gpt-image-2", b"image", '<img src="{file}"'),
            ("text-writer", b"Dear <b>reader</b>", "Dear &lt;b&gt;reader&lt;/b&gt;"),
            ("text-writer", b"<html><p>Hello</p>", 'src="{file}" title="#1"'),
        ],
    )
    def test_is_an_image_a_text_or_a_page_too(self, owner, visitor, model, content, shown):
        made = make_campaign(owner, {"mood": ["calm"]}, model=model, duration=None)
        bring(jobs_of(made)[0], "completed")
        if content.startswith(b"<html>"):
            as_page(cell(made, 1).job)
        asset, token = Asset.objects.get(job=cell(made, 1).job), shared(made, owner)
        default_storage.save(asset.name, ContentFile(content))

        html = html_of(visitor.get(video_page(token, 1)))

        assert shown.format(file=file_page(token, asset)) in html and "<video" not in html
        assert b"".join(visitor.get(file_page(token, asset)).streaming_content).startswith(content)

    def test_is_said_to_come_where_nothing_is_ready(self, owner, visitor):
        token = shared(make_campaign(owner), owner)

        assert "Nothing to see yet" in html_of(visitor.get(reverse("campaigns:shared", args=[token])))

    def test_of_660_combinations_takes_a_fixed_number_of_queries(self, owner, visitor, django_assert_max_num_queries):
        from queue_app import tickets

        tickets.grant(owner, 5_000, at=NOON, actor="tests", reason="many")
        made = make_campaign(owner, full_matrix())
        for job in jobs_of(made)[:70]:
            bring(job, "completed")
        token = shared(made, owner)

        with django_assert_max_num_queries(12):
            html = visitor.get(video_page(token, 1)).content.decode()

        assert len(re.findall(r'id="film-', html)) == 70


class TestALinkThatDoesNotWork:
    def test_looks_the_same_whatever_is_wrong_with_it(self, campaign, owner, visitor):
        expired, revoked = shared(campaign, owner, days=1), shared(campaign, owner)
        ShareLink.objects.filter(token_sha256=sharing._hash(expired)).update(
            created_at=NOON - timedelta(days=9), expires_at=NOON - timedelta(days=2)
        )
        sharing.revoke(sharing.find(revoked, at=clock.now()), at=clock.now(), by=owner)
        asset = stored(campaign)

        seen = {}
        for token in (expired, revoked, "x" * 43):
            for place in (reverse("campaigns:shared", args=[token]), video_page(token, 1), file_page(token, asset)):
                answer = visitor.get(place)
                html = re.sub(r'"X-CSRFToken": "\w+"', "", answer.content.decode())  # of each page its own
                seen[html] = answer.status_code
        assert list(seen.values()) == [404]

    def test_says_how_to_get_another(self, visitor):
        assert "Ask the sender for a new one." in html_of(visitor.get(video_page("x" * 43, 1)))

    def test_can_not_be_guessed_at_any_pace(self, visitor, monkeypatch):
        monkeypatch.setattr(pages, "UNKNOWN_RATE", 1)

        answers = [visitor.get(video_page(f"{number}" * 43, 1)) for number in range(3)]

        assert [answer.status_code for answer in answers] == [404, 429, 429]
        assert int(answers[1]["Retry-After"]) >= 1


class TestWhatItReaches:
    def test_is_no_video_of_another_campaign(self, campaign, owner, token, visitor):
        other = make_campaign(owner, {"mood": ["calm", "energetic"]} | {"aesthetic": ["ugc", "cinematic", "animated"]})
        for job in jobs_of(other):
            bring(job, "completed")

        assert visitor.get(video_page(token, 5)).status_code == 404  # there is one there, and none here
        assert visitor.get(file_page(token, stored(other))).status_code == 404
        assert visitor.post(answer_page(token, 5), {"name": "Maria", "review": "approved"}).status_code in (404, 422)
        assert not ClientReview.objects.exists()

    def test_is_no_page_of_the_product(self, campaign, token, visitor):
        visitor.get(video_page(token, 1))
        asset = stored(campaign)

        for page in (f"/campaigns/{campaign.pk}/", f"/campaigns/{campaign.pk}/review/", f"/campaigns/{campaign.pk}/share/"):
            assert visitor.get(page).status_code == 302
        assert visitor.get(reverse("asset", args=[asset.pk, asset.file_name])).status_code == 404
        assert visitor.get(f"/api/v1/campaigns/{campaign.pk}/").status_code in (401, 403)

    def test_is_a_file_in_whole_or_in_part_that_is_asked_for_anew_each_time(self, campaign, token, visitor):
        asset = stored(campaign)

        whole = visitor.get(file_page(token, asset))
        part = visitor.get(file_page(token, asset), headers={"Range": "bytes=4-7"})
        again = visitor.get(file_page(token, asset), headers={"If-None-Match": whole["ETag"]})

        assert (whole.status_code, whole.getvalue(), whole["Content-Type"]) == (200, b"film" * 250, "video/mp4")
        assert (part.status_code, part.getvalue()) == (206, b"film") and again.status_code == 304
        assert whole["Cache-Control"] == "private, no-cache" and str(asset.job_id) not in whole["Content-Disposition"]


class TestItsHeaders:
    @pytest.mark.parametrize("place", ["first", "video", "file", "answer", "gone"])
    def test_keep_robots_out_and_the_address_in(self, campaign, token, visitor, place):
        answer = {
            "first": lambda: visitor.get(reverse("campaigns:shared", args=[token])),
            "video": lambda: visitor.get(video_page(token, 1)),
            "file": lambda: visitor.get(file_page(token, stored(campaign))),
            "answer": lambda: visitor.post(answer_page(token, 1), {"name": "Maria", "review": "approved"}),
            "gone": lambda: visitor.get(video_page("x" * 43, 1)),
        }[place]()

        assert answer["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cache-Control"].startswith("private, no-") and answer["X-Frame-Options"] == "DENY"
        assert "default-src 'self'" in answer["Content-Security-Policy"]

    def test_are_backed_by_the_page_and_no_link_leads_elsewhere(self, campaign, token, visitor):
        html = html_of(visitor.get(video_page(token, 1)))

        assert '<meta name="robots" content="noindex, nofollow, noarchive">' in html
        assert re.findall(r'(?:href|src|action)="(?:https?:)?//[^"]*"', html) == []


class TestAnAnswer:
    def test_is_kept_with_the_name_and_goes_on_to_the_next(self, campaign, token, visitor):
        sent = {"name": "Maria", "review": "approved", "comment": "Yes!"}

        answer = visitor.post(answer_page(token, 1, "?mood=energetic"), sent)

        assert answer["Location"] == video_page(token, 3, "?mood=energetic")
        said = ClientReview.objects.get()
        assert (said.name, said.review, said.comment) == ("Maria", "approved", "Yes!")
        assert cell(campaign, 1).review == ""

    def test_answers_htmx_with_the_next_video(self, campaign, token, visitor):
        answer = visitor.post(answer_page(token, 1), {"name": "Maria", "review": "rejected"}, **HTMX)

        html = html_of(answer)
        assert 'data-index="2"' in html and "Rejected: UGC · Energetic" in html and "<b>1 of 3</b> reviewed" in html
        assert re.search(r'class="gq-th is-rejected" id="film-1"[^>]*hx-swap-oob', html)
        assert answer["HX-Replace-Url"] == video_page(token, 2)

    def test_remembers_the_name_in_this_browser(self, campaign, token, visitor):
        answer = visitor.post(answer_page(token, 1), {"name": 'Märia "O\u2019Hara"', "review": "approved"})

        cookie = answer.cookies["share_name"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/s/")
        assert 'value="Märia &quot;O’Hara&quot;"' in html_of(visitor.get(video_page(token, 2)))
        visitor.cookies["share_name"] = "forged"
        assert 'name="name" value=""' in html_of(visitor.get(video_page(token, 2)))

    def test_can_be_a_comment_that_stays_here(self, campaign, token, visitor):
        visitor.post(answer_page(token, 2), {"name": "Maria", "review": "approved"})
        sent = {"name": "Maria", "comment": "Who is this?", "say": "comment"}

        answer = visitor.post(answer_page(token, 2), sent, follow=True)

        html = html_of(answer)
        assert [one.review for one in ClientReview.objects.all()] == ["approved", "approved"]
        assert answer.redirect_chain == [(video_page(token, 2), 302)]
        assert "<bdi>Who is this?</bdi>" in html and "<bdi>Maria</bdi>" in html

    @pytest.mark.parametrize(
        ("sent", "words"),
        [
            ({"name": "", "review": "approved"}, "Enter your name"),
            ({"name": "Maria", "review": "winner"}, "Choose approve or reject."),
            ({"name": "Maria", "review": "approved", "comment": "c" * 1_001}, "Shorten it by 1."),
        ],
    )
    def test_that_is_wrong_says_why_and_loses_nothing(self, campaign, token, visitor, sent, words):
        page = visitor.post(answer_page(token, 1), sent)
        fragment = visitor.post(answer_page(token, 1), sent, **HTMX)

        assert (page.status_code, fragment.status_code) == (422, 200)
        for answer in (page, fragment):
            html = html_of(answer)
            assert words in html and sent.get("comment", "") in html and f'value="{sent["name"]}"' in html
        assert not ClientReview.objects.exists()

    def test_of_the_last_one_thanks_with_what_happens_now(self, campaign, token, visitor):
        for index in (1, 2):
            visitor.post(answer_page(token, index), {"name": "Maria", "review": "approved"})

        html = html_of(visitor.post(answer_page(token, 3), {"name": "Maria", "review": "approved"}, **HTMX))

        assert "All 3 reviewed" in html and "The team can see your reviews." in html

    def test_is_text_to_everybody_who_reads_it(self, campaign, owner, token, visitor, client_for):
        visitor.post(answer_page(token, 1), {"name": HOSTILE[:80], "review": "rejected", "comment": HOSTILE})
        admin, team = client_for(UserFactory(admin=True)), client_for(owner)

        pages = [
            visitor.get(video_page(token, 1)),
            team.get(reverse("campaigns:watch", args=[campaign.pk, 1])),
            team.get(reverse("campaigns:share", args=[campaign.pk])),
            admin.get("/admin/queue_app/auditentry/"),
        ]
        for page in pages:
            html = html_of(page)
            assert page.status_code == 200 and "<script>alert" not in html and "<img src=x" not in html
        assert "&lt;script&gt;alert(1)" in html_of(pages[0]) and "&lt;script&gt;alert(1)" in html_of(pages[1])

    def test_is_shown_to_the_team_with_name_link_and_time(self, campaign, owner, token, visitor, client_for):
        visitor.post(answer_page(token, 1), {"name": "Maria", "review": "rejected", "comment": "Too loud."})

        html = html_of(client_for(owner).get(reverse("campaigns:watch", args=[campaign.pk, 1])))

        clients = html[html.index("h-clients") : html.index("h-versions")]
        assert "Rejected" in clients and "<bdi>Maria</bdi>" in clients and "<bdi>Too loud.</bdi>" in clients
        assert "<bdi>Alder, first round</bdi>" in clients

    def test_needs_the_forms_token_like_every_form(self, campaign, token):
        strict = Client(enforce_csrf_checks=True)

        assert strict.post(answer_page(token, 1), {"name": "Maria", "review": "approved"}).status_code == 403
        assert not ClientReview.objects.exists()

    def test_comes_at_a_pace_of_people(self, campaign, token, visitor, monkeypatch):
        monkeypatch.setitem(pages.RATES, "answer", 2)

        statuses = [
            visitor.post(answer_page(token, 1), {"name": "Maria", "review": verdict}).status_code
            for verdict in ("approved", "rejected", "approved", "rejected")
        ]

        assert statuses == [302, 302, 429, 429]
        assert ClientReview.objects.count() == 2
