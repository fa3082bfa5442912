"""Share links: what a link shows and to whom, what its visitors may say, and when it ends."""

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core import serializers
from django.db import IntegrityError, connection, transaction

from campaigns import exports, review, sharing
from campaigns.launch import make_again
from campaigns.models import ClientReview, Combination, ShareLink
from campaigns.sharing import NewLink, ShareRefused
from queue_app.models import Asset, AuditEntry
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def owner():
    return UserFactory(tickets=1_000)


@pytest.fixture
def campaign(owner):
    """Four cells, the first three stored, the first approved."""
    made = make_campaign(owner)
    for job in jobs_of(made)[:3]:
        bring(job, "completed")
    review.judge(cell(made, 1), "approved", at=NOON, by=owner, note="Not before the client calls.")
    return made


def cell(campaign, index):
    return Combination.objects.get(campaign=campaign, index=index)


def shared(campaign, owner, **new):
    known = {"label": "Alder, first round", "may_answer": True, **new}
    return sharing.create(campaign, NewLink(uuid.uuid4(), **known), at=NOON, by=owner)


def say(link, index=1, *, verdict="approved", comment="", name="Maria", at=LATER):
    return sharing.answer(link, index, verdict=verdict, comment=comment, name=name, at=at)


def problems(call):
    with pytest.raises(ShareRefused) as refusal:
        call()
    return {problem.field: problem.message for problem in refusal.value.problems}


class TestALink:
    def test_is_found_by_its_token_which_is_stored_nowhere(self, campaign, owner):
        link, token = shared(campaign, owner)

        assert sharing.find(token, at=LATER) == link
        assert len(token) == sharing.TOKEN_LENGTH and token.isalnum()
        stored = serializers.serialize("json", [*ShareLink.objects.all(), *AuditEntry.objects.all()])
        assert token not in stored and hashlib.sha256(token.encode()).hexdigest() in stored

    def test_is_not_found_by_its_hash_or_by_anything_near_its_token(self, campaign, owner):
        link, token = shared(campaign, owner)

        for wrong in ("", token[:-1], token.swapcase(), f"{token}x", link.token_sha256, "\ud800"):
            assert sharing.find(wrong, at=LATER) is None

    def test_has_a_token_of_its_own(self, campaign, owner):
        assert len({shared(campaign, owner)[1] for _ in range(20)}) == 20

    @pytest.mark.parametrize("days", sharing.DAYS)
    def test_ends_with_its_last_day(self, campaign, owner, days):
        _, token = shared(campaign, owner, days=days)

        assert sharing.find(token, at=NOON + timedelta(days=days, seconds=-1)) is not None
        assert sharing.find(token, at=NOON + timedelta(days=days)) is None

    def test_ends_when_it_is_revoked_and_for_good(self, campaign, owner):
        link, token = shared(campaign, owner)

        assert sharing.revoke(link, at=LATER, by=owner) is True
        assert sharing.find(token, at=LATER) is None
        assert sharing.revoke(link, at=LATER, by=owner) is False

    def test_is_created_once_by_one_form(self, campaign, owner):
        new = NewLink(uuid.uuid4(), label="Alder")

        link, token = sharing.create(campaign, new, at=NOON, by=owner)

        assert token and sharing.create(campaign, new, at=LATER, by=owner) == (link, "")
        assert ShareLink.objects.count() == 1

    @pytest.mark.parametrize(
        ("new", "field"),
        [
            ({"label": " \u202e "}, "label"),
            ({"label": "x" * 101}, "label"),
            ({"days": 0}, "days"),
            ({"days": 3_650}, "days"),
            ({"shows": "everything"}, "shows"),
        ],
    )
    def test_with_a_wrong_field_is_not_created(self, campaign, owner, new, field):
        assert list(problems(lambda: shared(campaign, owner, **new))) == [field]
        assert not ShareLink.objects.exists()

    def test_is_one_of_few(self, campaign, owner):
        links = [shared(campaign, owner)[0] for _ in range(sharing.OPEN_MOST)]

        assert "Revoke one first." in problems(lambda: shared(campaign, owner))["label"]
        sharing.revoke(links[0], at=NOON, by=owner)
        assert shared(campaign, owner)[1]

    def test_has_a_label_on_one_line(self, campaign, owner):
        assert shared(campaign, owner, label="Alder\n\u202eround ")[0].label == "Alder round"

    def test_ends_after_it_begins_whoever_writes_it(self, campaign, owner):
        link, _ = shared(campaign, owner)

        with pytest.raises(IntegrityError), transaction.atomic():
            ShareLink.objects.filter(pk=link.pk).update(expires_at=NOON)

    def test_is_in_the_audit_from_its_beginning_to_its_end_whoever_it_is(self, campaign, owner):
        link, _ = shared(campaign, owner)
        sharing.revoke(link, at=LATER, by=owner)

        created, revoked = AuditEntry.objects.filter(action__contains="share link").order_by("id")
        assert (created.action, created.actor, revoked.action) == ("create share link", owner, "revoke share link")
        assert created.after["label"] == "Alder, first round" and created.after["may_answer"] is True

    def test_remembers_when_it_was_opened_once_a_minute(self, campaign, owner):
        link, _ = shared(campaign, owner)
        for seconds in (0, 30, 59):
            sharing.note_opened(link, at=LATER + timedelta(seconds=seconds))

        assert ShareLink.objects.get().opened_at == LATER
        sharing.note_opened(link, at=LATER + timedelta(minutes=1))
        assert ShareLink.objects.get().opened_at == LATER + timedelta(minutes=1)


class TestWhatItShows:
    def test_is_the_completed_videos_without_what_the_team_said(self, campaign, owner):
        link, _ = shared(campaign, owner)

        assert [(one.index, one.review) for one in sharing.results(link)] == [(1, ""), (2, ""), (3, "")]

    def test_is_the_approved_ones_where_that_was_chosen(self, campaign, owner):
        link, _ = shared(campaign, owner, shows="approved")
        assert [one.index for one in sharing.results(link)] == [1]

        review.judge(cell(campaign, 3), "winner", at=NOON, by=owner)
        review.judge(cell(campaign, 1), "rejected", at=NOON, by=owner)
        assert [one.index for one in sharing.results(link)] == [3]

    def test_has_what_its_own_visitors_said_last(self, campaign, owner):
        link, _ = shared(campaign, owner)
        other, _ = shared(campaign, owner)
        say(link, 1), say(link, 1, verdict="rejected"), say(link, 2), say(other, 3)

        assert [one.review for one in sharing.results(link)] == ["rejected", "approved", ""]

    def test_leaves_out_what_is_being_generated_again(self, campaign, owner):
        link, _ = shared(campaign, owner)
        make_again(cell(campaign, 2), "Another prompt.", at=NOON, by=owner)

        assert [one.index for one in sharing.results(link)] == [1, 3]


class TestItsFiles:
    def asset(self, campaign, index=1):
        return Asset.objects.get(job=cell(campaign, index).job)

    def test_are_those_of_the_videos_that_it_shows(self, campaign, owner):
        link, _ = shared(campaign, owner)

        assert sharing.file_of(link, self.asset(campaign).pk) == self.asset(campaign)

    def test_are_none_of_another_campaign_of_the_same_owner(self, campaign, owner):
        link, _ = shared(campaign, owner)
        other = make_campaign(owner)
        bring(jobs_of(other)[0], "completed")

        assert sharing.file_of(link, self.asset(other).pk) is None
        assert sharing.file_of(link, uuid.uuid4()) is None

    def test_are_none_that_it_does_not_show(self, campaign, owner):
        link, _ = shared(campaign, owner, shows="approved")

        assert sharing.file_of(link, self.asset(campaign, 2).pk) is None

    def test_are_none_of_a_version_that_does_not_count_any_more(self, campaign, owner):
        link, _ = shared(campaign, owner)
        before = self.asset(campaign)
        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)
        bring(cell(campaign, 1).job, "completed")

        assert sharing.file_of(link, before.pk) is None
        assert sharing.file_of(link, self.asset(campaign).pk) is not None

    def test_are_none_that_retention_took(self, campaign, owner):
        link, _ = shared(campaign, owner)
        Asset.objects.update(expired_at=NOON)

        assert sharing.file_of(link, self.asset(campaign).pk) is None


class TestAnAnswer:
    def test_is_kept_with_the_name_that_was_typed_and_changes_nothing_of_the_teams(self, campaign, owner):
        link, _ = shared(campaign, owner)

        said = say(link, 1, verdict="rejected", comment=" Too loud.\r\nSlower. ", name=" Maria  Rossi ")

        assert (said.name, said.review, said.comment, said.at) == ("Maria Rossi", "rejected", "Too loud.\nSlower.", LATER)
        assert (said.version.number, said.version.combination) == (1, cell(campaign, 1))
        assert (cell(campaign, 1).review, cell(campaign, 1).note) == ("approved", "Not before the client calls.")

    def test_is_kept_beside_those_before(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 1), say(link, 1, verdict="rejected", name="Jon"), say(link, 1, verdict="rejected", comment="x", name="Jon")

        assert [(one.name, one.review) for one in sharing.answers_on(cell(campaign, 1).job_id)] == [
            ("Jon", "rejected"),
            ("Jon", "rejected"),
            ("Maria", "approved"),
        ]

    def test_that_is_sent_twice_is_kept_once(self, campaign, owner):
        link, _ = shared(campaign, owner)

        assert say(link) == say(link)
        assert ClientReview.objects.count() == AuditEntry.objects.filter(action="review by share link").count() == 1

    def test_can_be_a_comment_alone_or_take_a_verdict_back(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 2, verdict="", comment="Who is this?")
        say(link, 1)
        say(link, 1, verdict="")

        assert [one.review for one in sharing.results(link)] == ["", "", ""]

    @pytest.mark.parametrize(
        ("said", "field"),
        [
            ({"name": " "}, "name"),
            ({"name": "\u202e\u200b"}, "name"),
            ({"name": "…!"}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"name": "a\x00b\ud800"}, "name"),
            ({"comment": "x" * 1_001}, "comment"),
            ({"comment": "a\x00b"}, "comment"),
            ({"verdict": "winner"}, "review"),
            ({"verdict": "superb"}, "review"),
            ({"verdict": "", "comment": " "}, "comment"),
            ({"index": 4}, "review"),
            ({"index": 99}, "review"),
        ],
    )
    def test_that_cannot_be_kept_says_why(self, campaign, owner, said, field):
        link, _ = shared(campaign, owner)

        assert list(problems(lambda: say(link, **said))) == [field]
        assert not ClientReview.objects.exists()

    def test_is_taken_only_where_the_link_allows_it_and_while_it_works(self, campaign, owner):
        watching, _ = shared(campaign, owner, may_answer=False)
        revoked, _ = shared(campaign, owner)
        sharing.revoke(revoked, at=NOON, by=owner)
        brief, _ = shared(campaign, owner, days=1)

        for link, at in ((watching, LATER), (revoked, LATER), (brief, NOON + timedelta(days=1))):
            assert "no longer takes reviews" in problems(lambda link=link, at=at: say(link, at=at))["review"]

    def test_on_what_the_link_does_not_show_is_refused(self, campaign, owner):
        link, _ = shared(campaign, owner, shows="approved")

        assert "no longer shared" in problems(lambda: say(link, 2))["review"]

    def test_is_one_of_many_but_not_of_any_number(self, campaign, owner, monkeypatch):
        monkeypatch.setattr(sharing, "ANSWERS_MOST", 2)
        link, _ = shared(campaign, owner)
        say(link, 1), say(link, 2)

        assert "the most it takes" in problems(lambda: say(link, 3))["review"]

    def test_is_in_the_audit_under_the_links_number_and_never_under_the_typed_name(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 1, name=owner.username, comment="Fine.")

        entry = AuditEntry.objects.get(action="review by share link")
        assert (entry.actor, entry.actor_name, entry.at) == (None, f"share link {link.pk}", LATER)
        assert entry.after == {"name": owner.username, "review": "approved", "comment": "Fine.", "version": 1}

    def test_is_about_the_version_that_it_was_given_to(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 1, verdict="rejected")
        make_again(cell(campaign, 1), "Another prompt.", at=NOON, by=owner)
        bring(cell(campaign, 1).job, "completed")

        assert sharing.results(link)[0].review == ""

    def test_is_in_the_csv_beside_the_teams(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 1), say(link, 1, verdict="rejected", comment="=1+1", name="=HYPERLINK(1)")

        first = "".join(exports.csv_lines(campaign, address=str)).splitlines()[1]
        assert first.endswith(f'"rejected","\'=HYPERLINK(1)","\'=1+1","{LATER:%Y-%m-%d %H:%M:%S}"')
        assert '"approved"' in first


class TestTakingOver:
    def test_reviews_what_the_team_has_not_as_the_visitors_did_last(self, campaign, owner):
        link, _ = shared(campaign, owner)
        say(link, 1, verdict="rejected")
        say(link, 2), say(link, 2, verdict="rejected", name="Jon")
        say(link, 3, verdict="", comment="Hm.")

        assert sharing.to_adopt(campaign) == 1
        assert sharing.adopt(campaign, at=LATER, by=owner) == 1
        assert [cell(campaign, index).review for index in (1, 2, 3)] == ["approved", "rejected", ""]
        assert (cell(campaign, 2).reviewed_by, sharing.to_adopt(campaign)) == (owner, 0)


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_creates_one_link(owner, campaign):
    new, meet = NewLink(uuid.uuid4(), label="Alder"), Barrier(2)

    def send():
        try:
            meet.wait(30)
            return sharing.create(campaign, new, at=NOON, by=owner)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        made = [one.result(30) for one in [threads.submit(send) for _ in range(2)]]

    assert {link.pk for link, _ in made} == {ShareLink.objects.get().pk}
    assert sorted(bool(token) for _, token in made) == [False, True]
