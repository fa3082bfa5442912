"""More like this: further takes of one result, priced before and launched once."""

import pytest
from django.urls import reverse

from campaigns import more, review
from campaigns.actions import NotAsShown, Offer
from campaigns.launch import LaunchRefused
from campaigns.models import Campaign, Combination, ComplianceRule
from campaigns.more import Wish
from campaigns.plan import PlanRefused
from queue_app.models import AuditEntry, GenerationModel, Job, Wallet
from queue_app.tickets import NotEnoughTickets
from queue_app.work.intake import ModelNotAvailable
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
SIX = {"takes": "3", "ratio": ["16:9", "9:16"], "key": "form-1", "do": "launch", "told_count": "6", "told_tickets": "24"}


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells; the first is stored and the winner."""
    made = make_campaign(owner, name="Autumn scent")
    bring(jobs_of(made)[0], "completed")
    review.judge(cell(made), "winner", at=NOON, by=owner)
    return made


def cell(campaign, index=1):
    return Combination.objects.select_related("job", "campaign__brand", "campaign__model").get(campaign=campaign, index=index)


def launched(campaign, by, *, ratios=("16:9", "9:16"), takes=3, key="form-1", shown=None):
    wish = Wish(list(ratios), takes)
    planned = more.plan_of(cell(campaign), wish, key=key)
    offer = shown or Offer(len(planned.to_buy), planned.tickets)
    return more.launch_once(cell(campaign), wish, key=key, shown=offer, at=NOON, by=by)


def jobs(campaign):
    return list(Job.objects.filter(batch=campaign.pk).order_by("id"))


class TestThePlan:
    def test_is_every_take_of_every_ratio_at_its_price(self, campaign):
        planned = more.plan_of(cell(campaign), Wish(["16:9", "9:16"], 3), key="a")

        assert (len(planned.to_buy), planned.tickets) == (6, 24)
        assert Job.objects.count() == 4  # nothing is bought by planning

    @pytest.mark.parametrize(
        ("ratios", "takes", "words"),
        [
            (["16:9"], 0, "Enter a whole number from 1 to 8."),
            (["16:9"], 9, "Enter a whole number from 1 to 8."),
            ([], 1, "Choose at least one ratio."),
            (["4:3"], 1, "sora-2 has no ratio “4:3”. Choose from: 16:9, 9:16, 1:1."),
        ],
    )
    def test_of_what_is_not_offered_says_what_is(self, campaign, ratios, takes, words):
        with pytest.raises(PlanRefused, match=words.replace("(", "\\(")):
            more.plan_of(cell(campaign), Wish(ratios, takes), key="a")

    def test_is_none_while_nobody_offers_the_model(self, campaign):
        GenerationModel.objects.filter(pk="sora-2").update(active=False)

        with pytest.raises(ModelNotAvailable):
            more.plan_of(cell(campaign), Wish(["16:9"], 1), key="a")


class TestALaunch:
    def test_makes_a_campaign_of_the_same_prompt_with_new_seeds_and_other_ratios(self, campaign, owner):
        made, is_new = launched(campaign, owner)

        found = jobs(made)
        assert is_new and made.name == "More like #1 of Autumn scent"
        assert {job.prompt for job in found} == {cell(campaign).prompt}
        assert [job.parameters["aspect_ratio"] for job in found] == ["16:9"] * 3 + ["9:16"] * 3
        assert len({job.parameters["seed"] for job in found}) == 6
        assert {job.parameters["duration"] for job in found} == {4}

    def test_names_its_videos_by_what_they_differ_in(self, campaign, owner):
        made, _ = launched(campaign, owner)

        assert made.dimensions == {
            "aesthetic": ["ugc"],
            "mood": ["energetic"],
            "ratio": ["16:9", "9:16"],
            "take": ["1", "2", "3"],
        }
        assert review.telling_words(made, cell(made, 4).values) == ["9:16", "Take 1"]

    def test_can_be_varied_again(self, campaign, owner):
        made, _ = launched(campaign, owner)
        bring(jobs(made)[0], "completed")

        again, _ = launched(made, owner, ratios=["1:1"], takes=1, key="form-2")

        assert list(again.dimensions) == ["aesthetic", "mood", "ratio", "take"]
        assert jobs(again)[0].parameters["aspect_ratio"] == "1:1"

    def test_happens_once_for_a_form(self, campaign, owner):
        made, _ = launched(campaign, owner)

        assert launched(campaign, owner) == (made, False)
        assert Campaign.objects.count() == 2 and Wallet.objects.get(owner=owner).reserved == 12 + 24

    def test_buys_what_was_shown_or_nothing(self, campaign, owner):
        for shown in (Offer(6, 23), Offer(5, 24), Offer(0, 0)):
            with pytest.raises(NotAsShown):
                launched(campaign, owner, shown=shown)

        assert Campaign.objects.count() == 1

    def test_of_a_prompt_that_a_rule_blocks_by_now_is_refused(self, campaign, owner):
        ComplianceRule.objects.create(name="Parcels", pattern="parcel", reason="Not ours.", severity="block")

        with pytest.raises(LaunchRefused):
            launched(campaign, owner)
        assert Campaign.objects.count() == 1

    def test_that_the_wallet_cannot_pay_writes_nothing(self, campaign, owner):
        poor = UserFactory(tickets=20)
        theirs = make_campaign(poor)
        bring(jobs_of(theirs)[0], "completed")

        with pytest.raises(NotEnoughTickets):
            launched(theirs, poor)
        assert Campaign.objects.filter(batch__owner=poor).count() == 1

    def test_for_somebody_else_is_paid_by_the_owner_and_in_the_audit(self, campaign, owner):
        operator = UserFactory(staff=True)

        made, _ = launched(campaign, operator)

        (entry,) = AuditEntry.objects.all()
        assert (made.batch.owner, entry.actor, entry.action) == (owner, operator, "generate more")
        assert entry.after == {"campaign": made.pk, "jobs": 6, "tickets": 24}

    def test_without_seeds_where_the_model_takes_none(self, owner):
        sora = GenerationModel.objects.get(pk="sora-2")
        without = {name: rule for name, rule in sora.parameters.items() if name != "seed"}
        GenerationModel.objects.filter(pk="sora-2").update(parameters=without)
        made = make_campaign(owner)
        bring(jobs_of(made)[0], "completed")

        more_of_it, _ = launched(made, owner, ratios=["1:1"], takes=2)

        assert [sorted(job.parameters) for job in jobs(more_of_it)] == [["aspect_ratio", "duration", "loop"]] * 2


class TestThePage:
    def address(self, campaign, index=1):
        return reverse("campaigns:more", args=[campaign.pk, index])

    def test_is_filled_in_with_this_result_and_says_the_price(self, campaign, owner, client_for):
        html = html_of(client_for(owner).get(self.address(campaign)))

        assert 'name="ratio" value="16:9" checked' in html and 'name="ratio" value="9:16">' in html
        assert "Launch 3 videos for 12 tickets" in html and "Nothing is generated until you press Launch." in html
        assert Job.objects.count() == 4

    def test_says_the_price_of_what_is_chosen_and_buys_nothing(self, campaign, owner, client_for):
        visitor = client_for(owner)

        fragment = html_of(visitor.post(self.address(campaign), SIX | {"do": ""}, **HTMX))
        page = html_of(visitor.post(self.address(campaign), SIX | {"do": "look"}))

        assert "Launch 6 videos for 24 tickets" in fragment and "<html" not in fragment
        assert "Launch 6 videos for 24 tickets" in page and Job.objects.count() == 4

    def test_launches_what_the_button_named(self, campaign, owner, client_for):
        answer = client_for(owner).post(self.address(campaign), SIX, follow=True)

        made = Campaign.objects.latest("pk")
        assert answer.redirect_chain == [(reverse("campaigns:page", args=[made.pk]), 302)]
        assert "6 videos are queued." in html_of(answer) and len(jobs(made)) == 6

    def test_that_is_sent_twice_shows_what_it_has_launched(self, campaign, owner, client_for):
        visitor = client_for(owner)
        visitor.post(self.address(campaign), SIX)

        assert "Already launched. No duplicates were created." in html_of(visitor.post(self.address(campaign), SIX, follow=True))

    @pytest.mark.parametrize(
        ("change", "status", "words"),
        [
            ({"told_tickets": "12", "told_count": "3"}, 409, "Check it and press Launch again."),
            ({"takes": "99"}, 422, "Enter a whole number from 1 to 8."),
            ({"ratio": []}, 422, "Choose at least one ratio."),
            ({"ratio": ["<script>"]}, 422, "has no ratio “&lt;script&gt;”"),
        ],
    )
    def test_says_why_nothing_was_launched(self, campaign, owner, client_for, change, status, words):
        answer = client_for(owner).post(self.address(campaign), SIX | change)

        assert answer.status_code == status and words in html_of(answer)
        assert Campaign.objects.count() == 1

    def test_says_how_many_tickets_are_missing(self, client_for):
        poor = UserFactory(tickets=20)
        made = make_campaign(poor)
        bring(jobs_of(made)[0], "completed")

        html = html_of(client_for(poor).get(self.address(made)))

        assert "This needs 12 tickets, but only 4 are available. Ask staff for 8 more." in html and "disabled" in html

    def test_is_offered_on_a_winner(self, campaign, owner, client_for):
        visitor = client_for(owner)
        watch = reverse("campaigns:watch", args=[campaign.pk, 1])
        assert self.address(campaign) in html_of(visitor.get(watch))

        review.judge(cell(campaign), "approved", at=NOON, by=owner)
        assert self.address(campaign) not in html_of(visitor.get(watch))

    def test_is_for_those_who_may_change_the_campaign(self, campaign, client_for):
        assert client_for(UserFactory()).get(self.address(campaign)).status_code == 404
        assert client_for(UserFactory(staff=True)).post(self.address(campaign), SIX).status_code == 403
        assert Campaign.objects.count() == 1
