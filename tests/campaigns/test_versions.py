"""Which version counts: it is chosen, its verdict comes with it, and those of the others are kept."""

import csv
import io

import pytest

from campaigns import exports, review, versions
from campaigns.launch import make_again
from campaigns.models import Combination, Version
from campaigns.versions import VersionRefused
from queue_app.models import AuditEntry, Job
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells; the first has two completed versions: rejected with a note, and approved."""
    made = make_campaign(owner)
    bring(jobs_of(made)[0], "completed")
    review.judge(first(made), "rejected", at=NOON, by=owner, note="Too dark.")
    make_again(first(made), "A brighter one.", at=NOON, by=owner)
    bring(first(made).job, "completed")
    review.judge(first(made), "approved", at=NOON, by=owner, note="Lovely.")
    return made


def first(campaign) -> Combination:
    return campaign.combinations.select_related("job").get(index=1)


def card(campaign):
    (found,) = review.cards(campaign, [first(campaign).pk])
    return found


def said(campaign):
    """Of each version: its verdict, its note, whether it counts."""
    return [(take.row.review, take.row.note, take.counts) for take in card(campaign).takes]


class TestVersions:
    def test_keep_their_own_verdicts_and_notes(self, campaign):
        assert said(campaign) == [("rejected", "Too dark.", False), ("approved", "Lovely.", True)]

    def test_that_are_chosen_count_with_the_verdict_that_they_had(self, campaign, owner):
        versions.use(first(campaign), 1, at=NOON, by=owner)

        cell = first(campaign)
        assert (cell.review, cell.note, cell.prompt) == ("rejected", "Too dark.", cell.versions.get(number=1).prompt)
        assert said(campaign) == [("rejected", "Too dark.", True), ("approved", "Lovely.", False)]

    def test_can_be_chosen_to_and_fro_and_lose_nothing(self, campaign, owner):
        before = said(campaign)
        for number in (1, 1, 2):
            versions.use(first(campaign), number, at=NOON, by=owner)

        assert said(campaign) == before

    def test_that_count_are_what_is_shown_judged_and_packed(self, campaign, owner):
        versions.use(first(campaign), 1, at=NOON, by=owner)
        review.judge(first(campaign), "winner", at=NOON, by=owner)

        assert card(campaign).shown.number == 1 and card(campaign).judgeable
        (packed,) = exports.approved(campaign)
        assert packed.asset.job_id == Version.objects.get(combination=first(campaign), number=1).job_id
        assert said(campaign)[1] == ("approved", "Lovely.", False)

    def test_are_all_in_the_csv_with_their_reviews(self, campaign):
        text = "".join(exports.csv_lines(campaign, address=str))

        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))[:2]
        assert [(row["version"], row["review"], row["note"]) for row in rows] == [
            ("1", "rejected", "Too dark."),
            ("2", "approved", "Lovely."),
        ]

    @pytest.mark.parametrize("number", [0, 3, 99])
    def test_that_are_not_there_cannot_count(self, campaign, owner, number):
        with pytest.raises(VersionRefused, match=f"Version {number} is not completed"):
            versions.use(first(campaign), number, at=NOON, by=owner)

    def test_that_failed_cannot_count(self, campaign, owner):
        make_again(first(campaign), "A third one.", at=NOON, by=owner)
        bring(first(campaign).job, "failed")

        with pytest.raises(VersionRefused, match="Version 3 is not completed"):
            versions.use(first(campaign), 3, at=NOON, by=owner)
        assert versions.use(first(campaign), 2, at=NOON, by=owner).review == "approved"

    def test_are_not_chosen_while_another_one_is_generated(self, campaign, owner):
        make_again(first(campaign), "A third one.", at=NOON, by=owner)

        with pytest.raises(VersionRefused, match="still generating"):
            versions.use(first(campaign), 1, at=NOON, by=owner)

    def test_are_numbered_on_after_an_earlier_one_was_chosen(self, campaign, owner):
        versions.use(first(campaign), 1, at=NOON, by=owner)

        version, is_new = make_again(first(campaign), "A third one.", at=NOON, by=owner)

        assert (version.number, is_new) == (3, True)
        assert said(campaign) == [("rejected", "Too dark.", False), ("approved", "Lovely.", False), ("", "", True)]

    def test_have_the_parameters_of_the_one_that_counted(self, campaign, owner):
        Job.objects.filter(pk=first(campaign).job_id).update(parameters={"duration": 4, "aspect_ratio": "9:16", "loop": False})

        version, _ = make_again(first(campaign), "A third one.", at=NOON, by=owner)

        assert version.job.parameters["aspect_ratio"] == "9:16"


def test_a_choice_on_somebody_elses_campaign_is_in_the_audit(campaign, owner):
    operator = UserFactory(staff=True)

    versions.use(first(campaign), 1, at=NOON, by=operator)
    versions.use(first(campaign), 2, at=NOON, by=owner)

    entry = AuditEntry.objects.get(action="choose version")
    assert entry.actor == operator
    assert (entry.before, entry.after) == ({"version": 2}, {"version": 1})
