"""Judging results: verdicts, notes, versions, what worked; the page with and without htmx."""

import re

import pytest
from django.urls import reverse

from campaigns import review
from campaigns.launch import make_again
from campaigns.models import Combination, ComplianceRule
from campaigns.review import NoteRefused, NotJudgeable
from queue_app.models import Asset, Job, Wallet
from tests.campaigns.support import bring, full_matrix, jobs_of, make_campaign
from tests.factories import NOON, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells: three stored, the last one queued."""
    made = make_campaign(owner)
    for job in jobs_of(made)[:3]:
        bring(job, "completed")
    return made


@pytest.fixture
def visitor(client_for, owner):
    return client_for(owner)


def cell(campaign, index):
    return Combination.objects.get(campaign=campaign, index=index)


def seen_in(html):
    return re.search(r'name="seen" value="([^"]+)"', html)[1]


def address(name, campaign, *more):
    return reverse(f"campaigns:{name}", args=[campaign.pk, *more])


class TestAVerdict:
    def test_is_kept_with_who_and_when(self, campaign, owner):
        review.judge(cell(campaign, 1), "approved", at=NOON, by=owner)

        judged = cell(campaign, 1)
        assert (judged.review, judged.reviewed_by, judged.reviewed_at) == ("approved", owner, NOON)

    def test_can_be_changed_and_taken_back(self, campaign, owner):
        for verdict in ("approved", "winner", "rejected", ""):
            review.judge(cell(campaign, 1), verdict, at=NOON, by=owner)
            assert cell(campaign, 1).review == verdict

        assert cell(campaign, 1).reviewed_by is None

    def test_needs_a_stored_result(self, campaign, owner):
        with pytest.raises(NotJudgeable, match=r"You can only review completed videos\. #4 is queued\."):
            review.judge(cell(campaign, 4), "approved", at=NOON, by=owner)

        assert cell(campaign, 4).review == ""

    def test_of_a_blocked_cell_is_refused(self, owner):
        ComplianceRule.objects.create(name="No UGC", kind="term", pattern="UGC", severity="block", reason="Not ours.")
        made = make_campaign(owner)

        with pytest.raises(NotJudgeable, match="blocked"):
            review.judge(cell(made, 1), "winner", at=NOON, by=owner)

    def test_goes_when_the_cell_is_made_again_and_its_versions_stay(self, campaign, owner):
        review.judge(cell(campaign, 1), "winner", at=NOON, by=owner)

        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)

        (card,) = review.cards(campaign, [cell(campaign, 1).pk])
        assert cell(campaign, 1).review == ""
        assert [take.number for take in card.takes] == [1, 2]
        assert (card.shown.number, card.latest.number, card.judgeable) == (1, 2, False)


class TestANote:
    def test_is_kept_without_a_verdict_and_trimmed(self, campaign, owner):
        review.write_note(cell(campaign, 4), "  Too dark.\r\nBrighter.  ", at=NOON, by=owner)

        assert cell(campaign, 4).note == "Too dark.\nBrighter."

    @pytest.mark.parametrize(("text", "words"), [("x" * 1_003, "Shorten it by 3"), ("a\x00b", "NUL")])
    def test_that_cannot_be_kept_says_why(self, campaign, text, words, owner):
        with pytest.raises(NoteRefused, match=words):
            review.write_note(cell(campaign, 1), text, at=NOON, by=owner)


class TestTheResults:
    def test_are_the_cells_that_have_delivered_in_the_order_of_the_matrix(self, campaign):
        assert [one.index for one in review.results(campaign)] == [1, 2, 3]

    def test_keep_a_cell_that_is_being_made_again(self, campaign, owner):
        make_again(cell(campaign, 2), "Another prompt.", at=NOON, by=owner)

        found = review.results(campaign)

        assert [(one.index, one.judgeable) for one in found] == [(1, True), (2, False), (3, True)]
        tally = review.tally(found)
        assert (tally.total, tally.to_judge, tally.again) == (2, 2, 1)

    def test_are_narrowed_by_verdict_and_value_and_sorted_by_a_dimension(self, campaign, owner):
        review.judge(cell(campaign, 2), "approved", at=NOON, by=owner)
        found = review.results(campaign)

        def indexes(verdict="", where=None, sort=""):
            return [one.index for one in review.selected(campaign, found, verdict=verdict, where=where or {}, sort=sort)]

        assert indexes(verdict="none") == [1, 3]
        assert indexes(verdict="approved") == [2]
        assert indexes(where={"aesthetic": "ugc"}) == [1, 2]
        assert indexes(sort="mood") == [1, 3, 2]
        assert indexes(where={"mood": "calm"}, verdict="rejected") == []

    def test_say_what_worked_by_value_winners_counted_as_approved(self, campaign, owner):
        for index, verdict in ((1, "approved"), (2, "rejected"), (3, "winner")):
            review.judge(cell(campaign, index), verdict, at=NOON, by=owner)

        worked = review.what_worked(campaign, review.results(campaign))

        rates = {rate.label: (rate.judged, rate.good, rate.winners, rate.percent) for one in worked for rate in one.rates}
        assert {one.label for one in worked} == {"Aesthetic", "Mood"}
        assert rates == {"UGC": (2, 1, 0, 50), "Cinematic": (1, 1, 1, 100), "Energetic": (2, 2, 1, 100), "Calm": (1, 0, 0, 0)}
        assert all(rate.is_few for one in worked for rate in one.rates)
        assert review.best(worked) is None

    def test_name_the_best_value_once_enough_are_judged(self, owner):
        made = make_campaign(
            owner, {"aesthetic": ["ugc", "cinematic"], "type": ["storytime", "testimonial", "demo", "unboxing", "before-after"]}
        )
        for job in jobs_of(made):
            bring(job, "completed")
        for one in Combination.objects.filter(campaign=made):
            review.judge(one, "approved" if one.values["aesthetic"] == "cinematic" else "rejected", at=NOON, by=owner)

        best = review.best(review.what_worked(made, review.results(made)))

        assert (best.label, best.judged, best.percent) == ("Cinematic", 5, 100)


class TestThePage:
    def test_shows_results_counts_and_how_far_the_judging_is(self, campaign, owner, visitor):
        review.judge(cell(campaign, 1), "approved", at=NOON, by=owner)

        html = html_of(visitor.get(address("review", campaign)))

        assert "3 videos, 2 left to review" in html
        assert "1 of 3 reviewed" in html
        assert 'id="cell-3"' in html and 'id="cell-4"' not in html
        assert re.search(r'id="yes-1"[^>]*value=""[^>]*aria-pressed="true"', html)
        assert "style=" not in html

    def test_narrows_by_address_and_gives_htmx_the_grid_alone(self, campaign, visitor):
        html = html_of(visitor.get(address("review", campaign) + "?mood=calm&verdict=none", **HTMX))

        assert "<html" not in html
        assert re.findall(r'<article class="gq-vid" id="cell-(\d+)"', html) == ["2"]

    def test_ignores_what_nobody_offers(self, campaign, visitor):
        html = visitor.get(address("review", campaign) + "?mood=gloomy&sort=colour&verdict=superb&page=x").content.decode()

        assert len(re.findall(r'<article class="gq-vid"', html)) == 3

    def test_says_so_when_there_is_nothing(self, owner, visitor):
        assert "No videos yet" in visitor.get(address("review", make_campaign(owner))).content.decode()

    def test_of_a_stranger_is_404(self, campaign, client_for):
        stranger = client_for(UserFactory())

        for name in ("review", "review-csv", "review-zip"):
            assert stranger.get(address(name, campaign)).status_code == 404
        for name in ("judge", "note", "again", "again-check"):
            assert stranger.post(address(name, campaign, 1), {"review": "approved", "note": "x"}).status_code == 404
        assert stranger.get(address("cell", campaign, 1)).status_code == 404
        assert cell(campaign, 1).review == ""

    def test_of_660_cells_takes_a_fixed_number_of_queries(self, owner, visitor, django_assert_max_num_queries):
        from queue_app import tickets

        tickets.grant(owner, 5_000, at=NOON, actor="tests", reason="many")
        made = make_campaign(owner, full_matrix())
        for job in jobs_of(made)[:70]:
            bring(job, "completed")

        with django_assert_max_num_queries(20):
            html = visitor.get(address("review", made)).content.decode()

        assert len(re.findall(r'<article class="gq-vid"', html)) == 60
        assert 'aria-label="Pages"' in html


class TestJudging:
    def test_without_javascript_goes_back_to_the_card(self, campaign, visitor):
        here = address("review", campaign) + "?verdict=none"

        answer = visitor.post(address("judge", campaign, 2), {"review": "rejected", "next": here})

        assert (answer.status_code, answer["Location"]) == (302, f"{here}#cell-2")
        assert cell(campaign, 2).review == "rejected"

    @pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com/", "foo", "javascript:alert(1)", ""])
    def test_never_sends_anyone_elsewhere(self, campaign, visitor, elsewhere):
        answer = visitor.post(address("judge", campaign, 2), {"review": "rejected", "next": elsewhere})

        assert answer["Location"] == address("review", campaign) + "#cell-2"

    def test_answers_htmx_with_the_card_and_the_counts(self, campaign, visitor):
        html = html_of(visitor.post(address("judge", campaign, 1), {"review": "winner"}, **HTMX))

        assert '<article class="gq-vid" id="cell-1"' in html
        assert re.search(r'id="win-1"[^>]*aria-pressed="true"', html)
        assert re.search(r'id="count-winner" hx-swap-oob="true">1<', html)
        assert "1 of 3 reviewed" in html

    @pytest.mark.parametrize(
        ("index", "verdict", "words"), [(4, "approved", "#4 is queued"), (1, "superb", "Choose approve, reject or winner.")]
    )
    def test_that_cannot_be_says_why_at_the_card(self, campaign, visitor, index, verdict, words):
        html = visitor.post(address("judge", campaign, index), {"review": verdict}, **HTMX).content.decode()

        assert words in html
        assert cell(campaign, index).review == ""

    def test_is_not_for_staff_who_may_only_look(self, campaign, client_for):
        watcher = client_for(UserFactory(staff=True))

        assert watcher.get(address("review", campaign)).status_code == 200
        assert watcher.post(address("judge", campaign, 1), {"review": "approved"}).status_code == 403

    def test_keeps_a_note_that_was_refused_in_the_field(self, campaign, visitor):
        typed = "n" * 1_001

        answer = visitor.post(address("note", campaign, 1), {"note": typed})

        assert answer.status_code == 422
        assert typed in answer.content.decode() and "Shorten it by 1" in answer.content.decode()


class TestOneCell:
    def test_shows_its_versions_side_by_side_the_latest_first(self, campaign, visitor, owner):
        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)

        html = visitor.get(address("cell", campaign, 1)).content.decode()

        assert re.findall(r'id="version-(\d)"', html) == ["2", "1"]
        assert "Generate version 3 for 4 tickets" in html

    def test_cannot_be_made_again_while_its_latest_version_is_being_made(self, campaign, visitor):
        html = html_of(visitor.get(address("cell", campaign, 4)))

        assert re.search(r'<button[^>]* disabled aria-describedby="again-why">Generate version 2', html)
        assert f'Version 1 is still generating. Wait for it or <a href="/jobs/{cell(campaign, 4).job_id}/">cancel it</a>' in html

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_renews_its_latest_version_and_leaves_alone_what_is_typed(self, campaign, visitor):
        place = address("cell", campaign, 4)
        seen = seen_in(html_of(visitor.get(place)))
        assert visitor.get(place, {"seen": seen}, **HTMX).status_code == 204

        bring(jobs_of(campaign)[3], "completed")
        html = html_of(visitor.get(place, {"seen": seen}, **HTMX))

        assert 'id="version-1" aria-label="Version 1" hx-swap-oob="true">' in html and "not reviewed" in html
        assert 'data-verdict="approved"' in html and ">Generate version 2" in html
        assert "disabled" not in html and "<textarea" not in html and "<html" not in html
        assert visitor.get(place, {"seen": seen_in(html)}, **HTMX).status_code == 204

    def test_renews_all_versions_when_there_is_one_more_and_none_for_money_alone(self, campaign, owner, visitor):
        place = address("cell", campaign, 1)
        seen = seen_in(html_of(visitor.get(place)))

        make_job(owner=owner)
        html = html_of(visitor.get(place, {"seen": seen}, **HTMX))
        assert 'id="again-make" hx-swap-oob="true"' in html and "version-1" not in html and "verdict-acts" not in html

        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)
        html = html_of(visitor.get(place, {"seen": seen_in(html)}, **HTMX))
        assert 'id="versions" hx-swap-oob="true"' in html
        assert re.findall(r'id="version-(\d)" aria-label="Version \d">', html) == ["2", "1"]

    def test_is_made_again_at_the_price_that_was_shown(self, campaign, owner, visitor):
        answer = visitor.post(address("again", campaign, 1), {"prompt": "A brighter one.", "price": "4", "number": "2"})

        assert answer.status_code == 302
        latest = cell(campaign, 1).job
        assert (latest.prompt, latest.state, latest.batch_id) == ("A brighter one.", "queued", campaign.pk)
        assert Wallet.objects.get(owner=owner).reserved == 8  # the fourth cell, and this

    def test_is_not_made_again_from_a_prompt_that_is_too_long_whatever_the_rules_say_of_it(self, campaign, visitor):
        ComplianceRule.objects.create(name="No trams", pattern="tram", reason="Not ours.")

        answer = visitor.post(address("again", campaign, 1), {"prompt": "tram " * 500_000, "price": "4", "number": "2"})

        assert answer.status_code == 422
        assert "The prompt is 2,500,000 characters; the limit is 32,000." in answer.content.decode()
        assert campaign.combinations.get(index=1).versions.count() == 1

    def test_is_made_again_once_however_often_the_form_is_sent(self, campaign, visitor):
        form = {"prompt": "A brighter one.", "price": "4", "number": "2"}

        answers = [visitor.post(address("again", campaign, 1), form) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 302]
        assert Job.objects.filter(prompt="A brighter one.").count() == 1

    def test_is_made_again_once_by_a_form_that_is_sent_again_when_its_version_has_ended(self, campaign, visitor):
        form = {"prompt": "A brighter one.", "price": "4", "number": "2"}
        visitor.post(address("again", campaign, 1), form)
        bring(cell(campaign, 1).job, "failed")

        answer = visitor.post(address("again", campaign, 1), form, follow=True)

        assert "Version 2 already exists. No duplicate was created." in answer.content.decode()
        assert cell(campaign, 1).versions.count() == 2

    def test_buys_nothing_for_a_form_whose_version_came_from_another_prompt_and_keeps_the_text(self, campaign, visitor, owner):
        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)
        bring(cell(campaign, 1).job, "failed")

        answer = visitor.post(address("again", campaign, 1), {"prompt": "A brighter one.", "price": "4", "number": "2"})

        html = answer.content.decode()
        assert answer.status_code == 422 and "Version 2 was created from another prompt in the meantime." in html
        assert ">A brighter one.</textarea>" in html and "Generate version 3 for 4 tickets" in html
        assert cell(campaign, 1).versions.count() == 2

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"price": "3"}, "The price is now 4 tickets"),
            ({"prompt": "Risk-free gold."}, "Use “proven” instead"),
            ({"number": "3"}, "The next version is 2"),
            ({"number": ""}, "The next version is 2"),
            ({"prompt": ""}, "prompt"),
            ({"prompt": "y" * 32_001}, "32"),
        ],
    )
    def test_says_at_the_field_what_is_wrong_and_keeps_the_text(self, campaign, visitor, change, words):
        ComplianceRule.objects.create(
            name="Claims", kind="term", pattern="risk free", severity="block", reason="No promises.", instead="proven"
        )
        form = {"prompt": "A brighter one.", "price": "4", "number": "2"} | change

        answer = visitor.post(address("again", campaign, 1), form)

        html = answer.content.decode()
        assert answer.status_code in (409, 422)
        assert words in html and 'id="prompt-error"' in html
        assert html.count('class="gq-err"') == 1
        assert f">{form['prompt']}</textarea>" in html
        assert Job.objects.count() == 4

    def test_whose_version_has_failed_does_not_promise_a_result(self, campaign, visitor):
        waiting = visitor.get(address("cell", campaign, 4)).content.decode()
        bring(jobs_of(campaign)[3], "failed")
        failed = visitor.get(address("cell", campaign, 4)).content.decode()

        assert "review opens when it completes" in waiting and "review opens when it completes" not in failed
        assert "only completed videos can be reviewed" in failed

    def test_says_what_the_rules_find_while_the_prompt_is_typed(self, campaign, visitor):
        ComplianceRule.objects.create(name="Claims", kind="term", pattern="gold", severity="warn", reason="Careful.")

        html = visitor.post(address("again-check", campaign, 1), {"prompt": "Gold falls."}, **HTMX).content.decode()

        assert "Allowed, with a warning" in html and "<mark>Gold</mark>" in html

    def test_blames_no_words_for_a_rule_that_cannot_be_used(self, campaign, visitor):
        ComplianceRule.objects.create(name="Odd", kind="pattern", pattern="(", severity="block", reason="Careful.")

        said = visitor.post(address("again-check", campaign, 1), {"prompt": "Gold falls."}, **HTMX).content.decode()

        assert "The compliance rule “Odd” can&#x27;t be used until staff correct it." in said
        assert "Remove it" not in said and "highlighted" not in said and "<mark>" not in said and "Gold falls." not in said

    def test_that_cannot_be_paid_says_how_many_tickets_are_missing(self, client_for):
        poor = UserFactory(tickets=17)
        made = make_campaign(poor)
        bring(jobs_of(made)[0], "completed")

        html = html_of(client_for(poor).get(address("cell", made, 1)))

        assert "This needs 4 tickets, but only 1 is available. Ask staff for 3 more." in html and "disabled" in html


def test_media_leave_out_what_retention_took(campaign):
    video = Asset.objects.get(job=jobs_of(campaign)[0])
    Asset.objects.filter(pk=video.pk).update(expired_at=NOON)

    (card,) = review.cards(campaign, [cell(campaign, 1).pk])

    assert card.shown.media.main is None
