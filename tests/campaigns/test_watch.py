"""Review mode: one video at a time, on to the next one, undo, notes, two versions side by side; with and without htmx."""

import re
import uuid

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse

from campaigns import exports, reel, review
from campaigns.launch import make_again
from campaigns.models import Combination
from queue_app.models import Asset
from tests.campaigns.support import as_page, bring, full_matrix, jobs_of, make_campaign
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells, all stored: UGC energetic, UGC calm, cinematic energetic, cinematic calm."""
    made = make_campaign(owner)
    for job in jobs_of(made):
        bring(job, "completed")
    return made


@pytest.fixture
def visitor(client_for, owner):
    return client_for(owner)


def cell(campaign, index):
    return Combination.objects.get(campaign=campaign, index=index)


def address(name, campaign, *more, query=""):
    return reverse(f"campaigns:{name}", args=[campaign.pk, *more]) + query


def judge(campaign, owner, **verdicts):
    for name, verdict in verdicts.items():
        review.judge(cell(campaign, int(name[1:])), verdict, at=NOON, by=owner)


def shown(html):
    """The number of the video on the stage."""
    return int(re.search(r'id="now"[^>]*data-index="(\d+)"', html)[1])


class TestTheOrder:
    def following(self, campaign, index, **asked):
        picked = reel.picked(campaign, asked)
        found = reel.of(campaign, review.results(campaign), picked, index).following
        return found.index if found else None

    def test_goes_on_to_the_next_one_without_a_verdict_and_round_to_the_start(self, campaign, owner):
        judge(campaign, owner, n2="approved")

        assert [self.following(campaign, index) for index in (1, 2, 3, 4)] == [3, 3, 4, 1]

    def test_keeps_to_the_filters_and_to_their_order(self, campaign):
        assert self.following(campaign, 2, mood="calm") == 4
        assert self.following(campaign, 4, mood="calm", verdict="none") == 2
        assert self.following(campaign, 3, sort="mood") == 2

    def test_of_a_verdict_that_was_picked_is_the_next_in_order_and_ends(self, campaign, owner):
        judge(campaign, owner, n1="approved", n3="approved")

        assert self.following(campaign, 1, verdict="approved") == 3
        assert self.following(campaign, 3, verdict="approved") is None

    def test_leaves_out_what_is_being_generated_again(self, campaign, owner):
        make_again(cell(campaign, 2), "Another prompt.", at=NOON, by=owner)

        assert self.following(campaign, 1) == 3

    def test_ends_when_all_are_reviewed(self, campaign, owner):
        judge(campaign, owner, n1="approved", n2="rejected", n3="winner", n4="approved")

        assert self.following(campaign, 4) is None


class TestTheWayIn:
    @pytest.mark.parametrize(
        ("query", "index"), [("", 2), ("?verdict=none", 2), ("?mood=energetic", 3), ("?verdict=approved", 1)]
    )
    def test_begins_at_the_first_one_to_review_with_the_filters(self, campaign, owner, visitor, query, index):
        judge(campaign, owner, n1="approved")

        answer = visitor.get(address("watch-next", campaign, query=query))

        assert (answer.status_code, answer["Location"]) == (302, address("watch", campaign, index, query=query))

    def test_begins_at_the_first_where_all_are_reviewed(self, campaign, owner, visitor):
        judge(campaign, owner, n1="approved", n2="rejected", n3="winner", n4="approved")

        assert visitor.get(address("watch-next", campaign))["Location"] == address("watch", campaign, 1)

    def test_of_a_campaign_with_nothing_yet_is_the_grid_that_says_so(self, owner, visitor):
        made = make_campaign(owner)

        assert visitor.get(address("watch-next", made))["Location"] == address("review", made)

    def test_stands_on_the_grid(self, campaign, visitor):
        html = html_of(visitor.get(address("review", campaign, query="?mood=calm")))

        assert f'{address("watch-next", campaign)}?verdict=none">Review 4 one by one' in html
        assert f'{address("watch-next", campaign)}?mood=calm">Review these one by one' in html


class TestThePage:
    def test_shows_one_video_how_far_the_review_is_and_the_strip_of_all(self, campaign, owner, visitor):
        judge(campaign, owner, n1="winner", n2="rejected")

        html = html_of(visitor.get(address("watch", campaign, 3)))

        assert "<b>2 of 4</b> reviewed" in html and "0 approved, 1 rejected, 1 winner" in html
        assert html.count("<video") == 1 and "<h1>Cinematic · Energetic</h1>" in html and "3 of 4" in html
        assert re.findall(r'id="film-(\d)"', html) == ["1", "2", "3", "4"]
        assert re.search(r'class="gq-th is-winner" id="film-1"', html)
        assert re.search(r'id="film-3" href="[^"]+" aria-current="true"', html)
        assert "style=" not in html and "onclick" not in html

    def test_keeps_the_filters_in_every_link_and_form(self, campaign, visitor):
        query = "?mood=calm&amp;sort=aesthetic&amp;verdict=none"

        html = html_of(visitor.get(address("watch", campaign, 2, query="?mood=calm&sort=aesthetic&verdict=none")))

        assert re.findall(r'id="film-(\d)"', html) == ["2", "4"]
        assert f'href="{address("watch", campaign, 4)}{query}"' in html
        assert f'action="{address("watch-judge", campaign, 2)}{query}"' in html
        assert f'href="{address("review", campaign)}{query}"' in html
        assert "?mood=calm&amp;sort=aesthetic&amp;verdict=approved" in html

    def test_shows_a_video_that_the_filters_leave_out_beside_those_that_they_keep(self, campaign, visitor):
        html = html_of(visitor.get(address("watch", campaign, 1, query="?mood=calm")))

        assert shown(html) == 1 and re.findall(r'id="film-(\d)"', html) == ["1", "2", "4"]

    def test_marks_in_the_prompt_what_tells_it_from_the_others(self, campaign, visitor):
        assert "<b>Cinematic</b>" in html_of(visitor.get(address("watch", campaign, 3)))

    def test_gives_htmx_what_changes_and_its_address_for_the_browser(self, campaign, visitor):
        here = address("watch", campaign, 2, query="?mood=calm")

        answer = visitor.get(here, **HTMX)

        html = html_of(answer)
        assert shown(html) == 2 and "<html" not in html and "film-" not in html
        assert answer["HX-Replace-Url"] == here

    def test_of_what_is_not_there_or_not_ones_own_is_404(self, campaign, visitor, client_for):
        stranger = client_for(UserFactory())

        assert visitor.get(address("watch", campaign, 5)).status_code == 404
        for name, more in (("watch", [1]), ("watch-next", []), ("compare", [1]), ("download", [1])):
            assert stranger.get(address(name, campaign, *more)).status_code == 404
        for name in ("watch-judge", "watch-note", "use-version"):
            assert (
                stranger.post(address(name, campaign, 1), {"review": "approved", "note": "x", "version": "1"}).status_code == 404
            )
        assert cell(campaign, 1).review == ""

    def test_lets_staff_without_the_right_look_and_change_nothing(self, campaign, client_for):
        watcher = client_for(UserFactory(staff=True))

        html = html_of(watcher.get(address("watch", campaign, 1)))

        assert "data-verdict" not in html and "undo-form" not in html and "<textarea" not in html
        assert watcher.post(address("watch-judge", campaign, 1), {"review": "approved"}).status_code == 403
        assert watcher.post(address("use-version", campaign, 1), {"version": "1"}).status_code == 403

    def test_says_what_stands_in_the_way_of_a_review(self, campaign, owner, visitor):
        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)

        html = html_of(visitor.get(address("watch", campaign, 1)))

        assert "Version 2: review opens when it completes." in html and "data-verdict" not in html
        assert html.count("<video") == 1  # of the version that is there

    def test_of_a_file_that_is_gone_says_so(self, campaign, visitor):
        Asset.objects.update(expired_at=NOON)

        assert "This file expired and was deleted." in html_of(visitor.get(address("watch", campaign, 1)))

    def test_of_660_combinations_takes_a_fixed_number_of_queries(self, owner, visitor, django_assert_max_num_queries):
        from queue_app import tickets

        tickets.grant(owner, 5_000, at=NOON, actor="tests", reason="many")
        made = make_campaign(owner, full_matrix())
        for job in jobs_of(made)[:70]:
            bring(job, "completed")

        with django_assert_max_num_queries(18):
            html = visitor.get(address("watch", made, 1)).content.decode()
        with django_assert_max_num_queries(30):
            visitor.post(address("watch-judge", made, 1), {"review": "approved"}, **HTMX)

        assert len(re.findall(r'id="film-', html)) == 70


class TestWhatIsOnTheStage:
    """Videos are played; images, texts and pages are shown as they are."""

    @pytest.fixture(autouse=True)
    def files(self, settings, tmp_path):
        settings.MEDIA_ROOT = str(tmp_path)

    def stored(self, owner, model, content=b"file", **fields):
        """A campaign of one combination whose result is really stored."""
        made = make_campaign(owner, {"mood": ["calm"]}, model=model, duration=None, **fields)
        bring(jobs_of(made)[0], "completed")
        default_storage.save(self.asset(made).name, ContentFile(content))
        return made

    def asset(self, campaign):
        return Asset.objects.get(job=cell(campaign, 1).job)

    def page(self, campaign, visitor):
        html = html_of(visitor.get(address("watch", campaign, 1)))
        assert "<video" not in html and "data-play" not in html  # nothing to play
        return html

    def test_is_an_image(self, owner, visitor):
        made = self.stored(owner, "gpt-image-2")

        html = self.page(made, visitor)

        assert f'<img src="/files/{self.asset(made).pk}/' in html and 'aria-label="Download"' in html

    def test_is_every_image_of_a_result_of_several(self, owner, visitor):
        made = self.stored(owner, "nano-banana", count=2)
        first = self.asset(made)
        second = Asset.objects.get(pk=first.pk)
        second.pk, second.number = uuid.uuid4(), 2
        second.name = f"assets/2026/11/{second.pk}.png"
        second.save(force_insert=True)
        default_storage.save(second.name, ContentFile(b"file two"))

        html = self.page(made, visitor)

        assert [f'<img src="/files/{one.pk}/' in html for one in (first, second)] == [True, True]
        answer = visitor.get(address("download", made, 1, query="?image=2"))
        assert answer.getvalue() == b"file two" and 'filename="001-calm-2.png"' in answer["Content-Disposition"]
        review.judge(cell(made, 1), "approved", at=NOON, by=owner)
        assert [packed.name for packed in exports.approved(made)] == ["001-calm.png", "001-calm-2.png"]

    def test_is_a_text_and_nothing_of_it_is_run(self, owner, visitor):
        made = self.stored(owner, "text-writer", b"Dear reader, <script>alert(1)</script>")

        html = self.page(made, visitor)

        assert "Dear reader, &lt;script&gt;alert(1)&lt;/script&gt;" in html and "Open the text" in html

    def test_is_a_page_in_a_frame_of_its_own(self, owner, visitor):
        made = self.stored(owner, "text-writer", b"<p>Hello</p>")
        as_page(cell(made, 1).job)

        html = self.page(made, visitor)

        assert re.search(rf'<iframe[^>]* sandbox[^>]* src="/files/{self.asset(made).pk}/', html) and "Hello" not in html
        assert "Open the page" in html

    def test_is_side_by_side_too(self, owner, visitor):
        made = self.stored(owner, "text-writer", b"First words")
        make_again(cell(made, 1), "Another prompt.", at=NOON, by=owner)
        bring(cell(made, 1).job, "completed")
        default_storage.save(self.asset(made).name, ContentFile(b"Second words"))

        html = html_of(visitor.get(address("compare", made, 1)))

        assert "First words" in html and "Second words" in html and "data-play" not in html


class TestAVerdict:
    def test_answers_htmx_with_the_next_video_the_counts_and_the_way_back(self, campaign, visitor):
        answer = visitor.post(address("watch-judge", campaign, 1, query="?mood=energetic"), {"review": "rejected"}, **HTMX)

        html = html_of(answer)
        assert cell(campaign, 1).review == "rejected"
        assert shown(html) == 3 and answer["HX-Replace-Url"] == address("watch", campaign, 3, query="?mood=energetic")
        assert "Rejected: UGC · Energetic" in html and "<b>1 of 4</b> reviewed" in html
        assert re.search(r'class="gq-th is-rejected" id="film-1"[^>]*hx-swap-oob="true"', html)
        assert '<b id="count-rejected" hx-swap-oob="true">1</b>' in html
        assert re.search(rf'action="{address("watch-judge", campaign, 1)}\?mood=energetic" data-of="1"', html)

    def test_without_javascript_goes_on_by_a_page_load_that_says_what_was_done(self, campaign, visitor):
        answer = visitor.post(address("watch-judge", campaign, 1, query="?verdict=none"), {"review": "approved"}, follow=True)

        assert answer.redirect_chain == [(address("watch", campaign, 2, query="?verdict=none&last=1"), 302)]
        html = html_of(answer)
        assert shown(html) == 2 and "Approved: UGC · Energetic" in html and 'data-of="1"' in html

    def test_is_undone_to_what_stood_before(self, campaign, owner, visitor):
        judge(campaign, owner, n1="winner")
        html = html_of(visitor.post(address("watch-judge", campaign, 1), {"review": "rejected"}, **HTMX))
        before = re.search(r'id="undo-form".*?name="review" value="(\w*)"', html)[1]

        html = html_of(visitor.post(address("watch-judge", campaign, 1), {"review": before, "undo": "1"}, **HTMX))

        assert (before, cell(campaign, 1).review) == ("winner", "winner")
        assert shown(html) == 1 and "data-of" not in html and 'id="said"' not in html

    def test_is_undone_without_javascript_too(self, campaign, visitor):
        visitor.post(address("watch-judge", campaign, 1), {"review": "approved"})

        answer = visitor.post(address("watch-judge", campaign, 1), {"review": "", "undo": "1"})

        assert answer["Location"] == address("watch", campaign, 1) and cell(campaign, 1).review == ""

    def test_stays_where_somebody_does_not_want_to_go_on(self, campaign, visitor):
        html = html_of(visitor.post(address("watch-judge", campaign, 1), {"review": "approved", "stay": "1"}, **HTMX))

        assert shown(html) == 1 and "Approved: UGC · Energetic" in html and 'data-of="1"' in html

    def test_takes_the_note_along(self, campaign, owner, visitor):
        visitor.post(address("watch-judge", campaign, 1), {"review": "rejected", "note": " Too dark. "}, **HTMX)

        judged = cell(campaign, 1)
        assert (judged.review, judged.note, judged.reviewed_by) == ("rejected", "Too dark.", owner)

    def test_of_the_last_one_says_that_all_are_reviewed(self, campaign, owner, visitor):
        judge(campaign, owner, n1="approved", n2="rejected", n3="winner")

        html = html_of(visitor.post(address("watch-judge", campaign, 4), {"review": "approved"}, **HTMX))
        page = html_of(visitor.post(address("watch-judge", campaign, 4), {"review": "approved"}, follow=True))

        for said in (html, page):
            assert "All 4 reviewed" in said and "Download 3 approved" in said and "<video" not in said

    def test_of_the_last_one_of_a_filter_says_how_many_are_left_elsewhere(self, campaign, owner, visitor):
        judge(campaign, owner, n2="approved")

        html = html_of(visitor.post(address("watch-judge", campaign, 4, query="?mood=calm"), {"review": "approved"}, **HTMX))

        assert "2 videos left to review with other filters." in html

    @pytest.mark.parametrize(
        ("sent", "words"),
        [
            ({"review": "superb"}, "Choose approve, reject or winner."),
            ({"review": "approved", "note": "n" * 1_001}, "Shorten it by 1"),
        ],
    )
    def test_that_cannot_be_says_why_and_loses_nothing(self, campaign, visitor, sent, words):
        fragment = html_of(visitor.post(address("watch-judge", campaign, 1), sent, **HTMX))
        page = visitor.post(address("watch-judge", campaign, 1), sent)

        assert page.status_code == 422
        for html in (fragment, html_of(page)):
            assert words in html and shown(html) == 1 and sent.get("note", "") in html
        assert cell(campaign, 1).review == ""

    def test_on_what_is_not_completed_is_refused(self, owner, visitor):
        made = make_campaign(owner)

        assert "#1 is queued" in html_of(visitor.post(address("watch-judge", made, 1), {"review": "approved"}, **HTMX))
        assert visitor.post(address("watch-judge", made, 1), {"review": ""}, **HTMX).status_code == 200


class TestANote:
    def test_is_kept_and_leaves_htmx_what_plays(self, campaign, visitor):
        answer = visitor.post(address("watch-note", campaign, 2), {"note": "Brighter."}, **HTMX)

        assert (answer.status_code, answer.content) == (204, b"") and cell(campaign, 2).note == "Brighter."

    def test_is_kept_by_a_page_load_too(self, campaign, visitor):
        answer = visitor.post(address("watch-note", campaign, 2, query="?mood=calm"), {"note": "Brighter."}, follow=True)

        assert answer.redirect_chain == [(address("watch", campaign, 2, query="?mood=calm"), 302)]
        assert "Note saved." in html_of(answer) and "Brighter.</textarea>" in html_of(answer)

    def test_that_is_too_long_stays_in_its_field(self, campaign, visitor):
        answer = visitor.post(address("watch-note", campaign, 2), {"note": "n" * 1_001})

        assert answer.status_code == 422 and "n" * 1_001 in html_of(answer) and "Shorten it by 1" in html_of(answer)


class TestTwoVersions:
    @pytest.fixture
    def two(self, campaign, owner):
        """The first cell once more, from another prompt; its first version was rejected."""
        review.judge(cell(campaign, 1), "rejected", at=NOON, by=owner, note="Too dark.")
        make_again(cell(campaign, 1), cell(campaign, 1).prompt.replace("opens", "closes"), at=NOON, by=owner)
        bring(cell(campaign, 1).job, "completed")
        return campaign

    def test_stand_side_by_side_with_both_verdicts_and_what_differs(self, two, visitor):
        html = html_of(visitor.get(address("compare", two, 1)))

        assert html.count("<video") == 2
        assert re.findall(r'<h2 id="version-\d">(Version \d)</h2>', html) == ["Version 1", "Version 2"]
        assert "Rejected" in html and "Not reviewed" in html and "Note: “<bdi>Too dark.</bdi>”" in html
        assert "<span>The parcel</span><del>opens</del>" in html and "<ins>closes</ins>" in html
        assert "Same model and settings." in html

    def test_are_chosen_from_and_both_verdicts_are_kept(self, two, owner, visitor):
        review.judge(cell(two, 1), "approved", at=NOON, by=owner)

        answer = visitor.post(address("use-version", two, 1, query="?mood=energetic"), {"version": "1"}, follow=True)

        html = html_of(answer)
        assert answer.redirect_chain == [(address("watch", two, 1, query="?mood=energetic"), 302)]
        assert "Version 1 counts now. The other versions are kept." in html
        assert cell(two, 1).review == "rejected"
        assert re.search(r'Version 2 <span class="gq-sub">approved</span>', html)

    def test_that_cannot_count_say_why(self, two, visitor):
        html = html_of(visitor.post(address("use-version", two, 1), {"version": "7"}, follow=True))

        assert "Version 7 is not completed. Choose a completed version." in html

    def test_are_any_two_that_are_asked_for(self, two, owner, visitor):
        make_again(cell(two, 1), "A third tram.", at=NOON, by=owner)
        bring(cell(two, 1).job, "completed")

        def pair(query=""):
            return re.findall(r'<h2 id="version-(\d)"', html_of(visitor.get(address("compare", two, 1, query=query))))

        assert pair() == ["2", "3"] and pair("?left=3&right=1") == ["1", "3"]
        assert pair("?left=9&right=x") == ["2", "3"] and pair("?left=1&right=1") == ["2", "3"]

    def test_of_which_there_is_one_are_no_comparison(self, campaign, visitor):
        answer = visitor.get(address("compare", campaign, 1), follow=True)

        assert answer.redirect_chain == [(address("watch", campaign, 1), 302)]
        assert "Only one version is completed." in html_of(answer)


class TestTheDownload:
    def test_is_the_version_that_counts_under_its_name(self, campaign, visitor):
        asset = Asset.objects.get(job=cell(campaign, 1).job)
        default_storage.save(asset.name, ContentFile(b"film" * 250))

        answer = visitor.get(address("download", campaign, 1))

        assert answer["Content-Disposition"] == 'attachment; filename="001-ugc-energetic.mp4"'
        assert answer["Cache-Control"] == "private, no-cache" and answer.getvalue() == b"film" * 250

    def test_of_what_has_no_file_is_404(self, campaign, visitor):
        Asset.objects.update(expired_at=NOON)

        assert visitor.get(address("download", campaign, 1)).status_code == 404
