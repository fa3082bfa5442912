"""File names by template: what a campaign offers, what comes of it, and the page on which it is tried out."""

import io
import zipfile

import pytest
from django.urls import reverse

from campaigns import exports, naming, review
from campaigns.launch import make_again
from campaigns.models import Campaign, Combination
from campaigns.naming import FileNamesRefused
from queue_app.models import AuditEntry
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def campaign(owner):
    """Four cells, the first three stored, the first two approved."""
    made = make_campaign(owner, name="Herbst / „Größe“")
    for job in jobs_of(made)[:3]:
        bring(job, "completed")
    for index in (1, 2):
        review.judge(Combination.objects.get(campaign=made, index=index), "approved", at=NOON, by=owner)
    return made


def named(campaign, template, owner):
    naming.change(campaign, template, at=NOON, by=owner)
    return [one.name for one in exports.approved(Campaign.objects.get(pk=campaign.pk))]


def page(campaign):
    return reverse("campaigns:file-names", args=[campaign.pk])


class TestTheNames:
    def test_are_number_and_values_unless_a_template_says_otherwise(self, campaign):
        assert [one.name for one in exports.approved(campaign)] == ["001-ugc-energetic.mp4", "002-ugc-calm.mp4"]

    def test_come_from_the_template(self, campaign, owner):
        assert named(campaign, "{brand} {mood} {ratio} {duration} {version}", owner) == [
            "Maison-Alder-energetic-16x9-4s-v1.mp4",
            "Maison-Alder-calm-16x9-4s-v1.mp4",
        ]

    def test_are_safe_whatever_the_campaign_is_called(self, campaign, owner):
        assert named(campaign, "{campaign}/{number}", owner)[0] == "Herbst-„Größe“-001.mp4"

    def test_differ_even_where_the_template_does_not_tell_them_apart(self, campaign, owner):
        assert named(campaign, "{aesthetic}", owner) == ["ugc.mp4", "ugc-2.mp4"]

    def test_say_which_version_it_is(self, campaign, owner):
        first = Combination.objects.get(campaign=campaign, index=1)
        make_again(first, "Another one.", at=NOON, by=owner)
        bring(Combination.objects.get(pk=first.pk).job, "completed")
        review.judge(first, "winner", at=NOON, by=owner)

        assert named(campaign, "{number}-{version}-{review}", owner) == ["001-v2-winner.mp4", "002-v1-approved.mp4"]

    def test_are_those_in_the_zip(self, campaign, owner, client_for):
        named(campaign, "{mood}", owner)

        answer = client_for(owner).get(reverse("campaigns:review-zip", args=[campaign.pk]))

        with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
            assert archive.namelist() == ["missing.txt"]  # these tests lay no files
            assert archive.read("missing.txt").decode().splitlines()[1:] == ["energetic.mp4", "calm.mp4"]


class TestAChange:
    @pytest.mark.parametrize("template", ["{moood}", "film", "{number", "{number}" + "x" * 200])
    def test_to_what_cannot_be_used_is_refused(self, campaign, owner, template):
        with pytest.raises(FileNamesRefused):
            naming.change(campaign, template, at=NOON, by=owner)

        assert Campaign.objects.get(pk=campaign.pk).file_names == ""

    def test_to_nothing_brings_number_and_values_back(self, campaign, owner):
        named(campaign, "{mood}", owner)

        assert named(campaign, "  ", owner)[0] == "001-ugc-energetic.mp4"

    def test_of_somebody_elses_is_in_the_audit(self, campaign, owner):
        operator = UserFactory(staff=True)
        for by in (operator, operator, owner):
            naming.change(campaign, "{mood}" if by == operator else "{number}", at=NOON, by=by)

        entry = AuditEntry.objects.get(action="change file names")
        assert (entry.actor, entry.after) == (operator, {"file_names": "{mood}"})


class TestThePage:
    def test_shows_the_template_its_fields_and_what_comes_of_it(self, campaign, owner, client_for):
        html = html_of(client_for(owner).get(page(campaign)))

        assert 'value="{number}-{aesthetic}-{mood}"' in html
        assert "<code>001-ugc-energetic.mp4</code>" in html and "<code>{ratio}</code>" in html and "<code>{mood}</code>" in html

    def test_tries_a_template_out_and_keeps_nothing(self, campaign, owner, client_for):
        visitor = client_for(owner)

        html = html_of(visitor.post(page(campaign), {"template": "{mood}"}, **HTMX))
        whole = html_of(visitor.post(page(campaign), {"template": "{mood}", "do": "look"}))

        assert "<code>energetic.mp4</code>" in html and "<html" not in html
        assert "<code>energetic.mp4</code>" in whole and 'value="{mood}"' in whole
        assert Campaign.objects.get(pk=campaign.pk).file_names == ""

    def test_says_what_is_wrong_while_it_is_typed(self, campaign, owner, client_for):
        html = html_of(client_for(owner).post(page(campaign), {"template": "{x}<script>"}, **HTMX))

        assert "Unknown field “x”." in html and "<script>" not in html

    def test_keeps_a_template_and_what_was_typed_where_it_is_wrong(self, campaign, owner, client_for):
        visitor = client_for(owner)

        wrong = visitor.post(page(campaign), {"template": "{x}", "do": "save"})
        right = visitor.post(page(campaign), {"template": " {mood} ", "do": "save"})

        assert wrong.status_code == 422 and 'value="{x}"' in html_of(wrong)
        assert right["Location"] == reverse("campaigns:review", args=[campaign.pk])
        assert Campaign.objects.get(pk=campaign.pk).file_names == "{mood}"

    def test_takes_completed_videos_for_samples_while_none_is_approved(self, owner, client_for):
        made = make_campaign(owner)
        visitor = client_for(owner)
        assert "Examples appear here once a video is completed." in html_of(visitor.get(page(made)))

        bring(jobs_of(made)[2], "completed")

        assert "<code>003-cinematic-energetic.mp4</code>" in html_of(visitor.get(page(made)))

    def test_is_for_those_who_may_change_the_campaign(self, campaign, client_for):
        assert client_for(UserFactory()).get(page(campaign)).status_code == 404
        assert client_for(UserFactory(staff=True)).post(page(campaign), {"template": "{mood}", "do": "save"}).status_code == 403
