"""More like this: further takes of one result, priced before and launched once."""

import re

import pytest
from django.urls import reverse

from campaigns import more, review
from campaigns.actions import NotAsShown, Offer
from campaigns.launch import LaunchRefused
from campaigns.models import Campaign, Combination, ComplianceRule
from campaigns.more import Takes, Variety
from campaigns.plan import PlanRefused
from queue_app.models import AuditEntry, GenerationModel, Job, QueueSettings, Wallet
from queue_app.tickets import NotEnoughTickets
from queue_app.work import uploads
from queue_app.work.intake import ModelNotAvailable
from tests import images
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
    asked = Takes(list(ratios), takes)
    planned = plan(campaign, ratios, takes, key=key)
    offer = shown or Offer(len(planned.to_buy), planned.tickets)
    return more.launch_once(cell(campaign), asked, key=key, shown=offer, at=NOON, by=by)


def plan(campaign, ratios, takes, key="a"):
    return more.plan_of(Variety(cell(campaign)), Takes(list(ratios), takes), key=key, at=NOON)


def jobs(campaign):
    return list(Job.objects.filter(batch=campaign.pk).order_by("id"))


class TestThePlan:
    def test_is_every_take_of_every_ratio_at_its_price(self, campaign):
        planned = plan(campaign, ["16:9", "9:16"], 3)

        assert (len(planned.to_buy), planned.tickets) == (6, 24)
        assert Job.objects.count() == 4  # nothing is bought by planning

    @pytest.mark.parametrize(
        ("ratios", "takes", "words"),
        [
            (["16:9"], 0, "Enter a whole number from 1 to 8."),
            (["16:9"], 9, "Enter a whole number from 1 to 8."),
            ([], 1, "Choose at least one ratio."),
            (["4:3"], 1, "sora-2 has no ratio “4:3”. Available: 16:9, 9:16, 1:1."),
        ],
    )
    def test_of_what_is_not_offered_says_what_is(self, campaign, ratios, takes, words):
        with pytest.raises(PlanRefused, match=words.replace("(", "\\(")):
            plan(campaign, ratios, takes)

    def test_is_none_while_nobody_offers_the_model(self, campaign):
        GenerationModel.objects.filter(pk="sora-2").update(active=False)

        with pytest.raises(ModelNotAvailable):
            plan(campaign, ["16:9"], 1)


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

        entry = AuditEntry.objects.get(actor=operator)
        assert (made.batch.owner, entry.actor, entry.action) == (owner, operator, "generate more")
        assert entry.after == {"campaign": made.pk, "jobs": 6, "tickets": 24}

    def test_of_more_than_20_has_the_priority_of_large_campaigns(self, campaign, owner):
        made, _ = launched(campaign, owner, ratios=["16:9", "9:16", "1:1"], takes=7)

        assert made.priority == QueueSettings.objects.current().bulk_priority
        assert {job.priority for job in jobs(made)} == {made.priority}

    def test_keeps_with_the_campaign_only_what_all_its_videos_share(self, campaign, owner):
        made, _ = launched(campaign, owner)

        assert made.parameters == {"duration": 4, "loop": False}


class TestTheModel:
    """What takes can differ in is up to the model, its providers and the images that it starts from."""

    def stored(self, owner, **fields):
        made = make_campaign(owner, {"mood": ["calm"]}, **{"duration": None, **fields})
        bring(jobs_of(made)[0], "completed")
        return made

    def page(self, campaign, visitor):
        return html_of(visitor.get(reverse("campaigns:more", args=[campaign.pk, 1])))

    def test_that_takes_no_seed_gets_none(self, owner, client_for):
        images = self.stored(owner, model="gpt-image-2", quality="high")

        made, _ = launched(images, owner, ratios=["1:1", "2:3"], takes=2)

        assert [job.parameters["aspect_ratio"] for job in jobs(made)] == ["1:1", "1:1", "2:3", "2:3"]
        assert {(job.parameters["quality"], "seed" in job.parameters) for job in jobs(made)} == {("high", False)}
        html = self.page(images, client_for(owner))
        assert "gpt-image-2 takes no seed. Each take still comes out differently." in html
        assert "Launch 3 images for 3 tickets" in html and 'name="ratio" value="3:4"' in html

    def test_without_a_choice_of_ratio_is_asked_for_takes_alone(self, owner, client_for):
        texts = self.stored(owner, model="text-writer")

        made, _ = launched(texts, owner, ratios=[], takes=2)

        assert made.dimensions == {"mood": ["calm"], "take": ["1", "2"]} and len(jobs(made)) == 2
        html = self.page(texts, client_for(owner))
        assert 'name="ratio"' not in html and "text-writer has no choice of aspect ratio." in html
        assert "Launch 3 texts for 3 tickets" in html

    def test_that_starts_from_an_image_keeps_its_ratio_and_the_image(self, owner, client_for, settings, tmp_path):
        settings.MEDIA_ROOT = str(tmp_path)
        frame = str(uploads.receive(owner, [images.picture()], at=NOON).pk)
        videos = self.stored(owner, model="kling-v3", duration=5, images={"first_frame": frame})

        made, _ = launched(videos, owner, ratios=[], takes=2)

        assert [job.parameters["images"] for job in jobs(made)] == [{"first_frame": frame}] * 2
        html = self.page(videos, client_for(owner))
        assert 'name="ratio"' not in html and "Aspect ratio: Follows the image." in html and "from first frame" in html

    def test_that_no_longer_takes_a_parameter_is_named_before_the_launch(self, campaign, owner, client_for):
        model = GenerationModel.objects.get(pk="sora-2")
        model.parameters["duration"] = {**model.parameters["duration"], "values": [8], "default": 8}
        model.save()

        html = self.page(campaign, client_for(owner))

        assert "duration must be 8 s for sora-2, not 4." in html
        assert re.search(r'<button[^>]*id="launch"[^>]*disabled', html)

    def test_that_nobody_offers_is_named_and_nothing_can_be_launched(self, campaign, owner, client_for):
        GenerationModel.objects.filter(pk="sora-2").update(active=False)

        html = self.page(campaign, client_for(owner))

        assert "sora-2 is not available right now." in html
        assert re.search(r'<button[^>]*id="launch"[^>]*disabled', html)


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
