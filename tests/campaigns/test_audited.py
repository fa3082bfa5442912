"""
Whoever changes something of somebody else's is in the audit, once, whichever way they asked; owners are not, for what is theirs
(I45). A pause is in it in any case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from campaigns.models import Campaign, Combination
from queue_app.models import AuditEntry, GenerationModel, Job, State, User
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
SCOPES = ("read", "submit", "manage")
WHY = {"reason": "asked by phone"}


@dataclass
class Theirs:
    """A campaign of 4 cells: the first stored, the second failed, the third running, the fourth queued."""

    campaign: Campaign
    jobs: list[Job]
    cell: Combination


@dataclass
class Way:
    """A way to ask: its address, what is sent, and the entry that it leaves: the action, what it says, and why."""

    name: str
    address: Callable[[Theirs], str]
    sent: dict[str, Any]
    action: str
    after: dict[str, Any]
    reason: str = ""
    method: str = "post"


def at(index: int, verb: str) -> Callable[[Theirs], str]:
    return lambda theirs: f"/jobs/{theirs.jobs[index].pk}/{verb}/"


def in_campaign(verb: str) -> Callable[[Theirs], str]:
    return lambda theirs: f"/campaigns/{theirs.campaign.pk}/{verb}"


def api(address: Callable[[Theirs], str]) -> Callable[[Theirs], str]:
    return lambda theirs: f"/api/v1{address(theirs)}"


def of_batch(verb: str) -> Callable[[Theirs], str]:
    return lambda theirs: f"/api/v1/batches/{theirs.campaign.pk}/{verb}/"


BY_API = "via API"
CANCELLED, RETRIED = {"cancelled": 1, "requested": 1}, {"jobs": 1, "tickets": 4}
AGAIN = {"jobs": "1", "tickets": "4"}
PAGES = [
    Way("a queued job's cancel", at(3, "cancel"), WHY, "cancel jobs", {"verdict": "cancelled"}, "asked by phone"),
    Way("a running job's cancel", at(2, "cancel"), WHY, "cancel jobs", {"verdict": "requested"}, "asked by phone"),
    Way("a job's retry", at(1, "retry"), AGAIN, "retry jobs", {"tickets": 4}),
    Way("a campaign's cancel", in_campaign("cancel/"), WHY, "cancel batch", CANCELLED, "asked by phone"),
    Way("a campaign's retry", in_campaign("retry-failed/"), AGAIN, "retry batch", RETRIED),
    Way("a verdict", in_campaign("review/1/judge/"), {"review": "approved"}, "review combination", {"review": "approved"}),
    Way("a note", in_campaign("review/1/note/"), {"note": "Brighter."}, "review combination", {"note": "Brighter."}),
    Way("one more version", in_campaign("review/1/again/"), {"prompt": "Slower.", "price": "4", "number": "2"},
        "generate version", {"version": 2, "tickets": 4}),
]  # fmt: skip
CALLS = [
    Way("a queued job's cancel", api(at(3, "cancel")), {}, "cancel jobs", {"verdict": "cancelled"}, BY_API),
    Way("a running job's cancel", api(at(2, "cancel")), {}, "cancel jobs", {"verdict": "requested"}, BY_API),
    Way("a job's retry", api(at(1, "retry")), {}, "retry jobs", {"tickets": 4}, BY_API),
    Way("a batch's cancel", of_batch("cancel"), {}, "cancel batch", CANCELLED, BY_API),
    Way("a batch's retry", of_batch("retry-failed"), {}, "retry batch", RETRIED, BY_API),
    Way("a campaign's cancel", api(in_campaign("cancel/")), {}, "cancel batch", CANCELLED, BY_API),
    Way("a campaign's retry", api(in_campaign("retry-failed/")), {}, "retry batch", RETRIED, BY_API),
    Way("a verdict and a note", lambda theirs: f"/api/v1/combinations/{theirs.cell.pk}/", {"review": "winner", "note": "Yes."},
        "review combination", {"review": "winner", "note": "Yes."}, method="patch"),
]  # fmt: skip


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=100)


@pytest.fixture
def operator() -> User:
    return UserFactory(staff=True, rights=["operate_queue"])


@pytest.fixture
def theirs(owner: User) -> Theirs:
    campaign = make_campaign(owner)
    jobs = jobs_of(campaign)
    for job, state in zip(jobs, (State.COMPLETED, State.FAILED, State.RUNNING), strict=False):
        bring(job, state)
    return Theirs(campaign, jobs, Combination.objects.get(campaign=campaign, index=1))


def entries(actor: User) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(actor=actor).exclude(action="launch campaign"))


@pytest.mark.parametrize("way", PAGES, ids=lambda way: way.name)
class TestPages:
    def test_leave_one_entry_where_it_is_somebody_elses(
        self, way: Way, theirs: Theirs, operator: User, client_for: Callable[[User], Client]
    ) -> None:
        assert client_for(operator).post(way.address(theirs), way.sent).status_code == 302

        (entry,) = entries(operator)
        assert (entry.action, entry.reason) == (way.action, way.reason)
        assert way.after.items() <= entry.after.items()

    def test_leave_none_where_it_is_ones_own(
        self, way: Way, theirs: Theirs, owner: User, client_for: Callable[[User], Client]
    ) -> None:
        assert client_for(owner).post(way.address(theirs), way.sent).status_code == 302

        assert entries(owner) == []


@pytest.mark.parametrize("way", CALLS, ids=lambda way: way.name)
class TestCalls:
    def test_leave_one_entry_where_it_is_somebody_elses(
        self, way: Way, theirs: Theirs, operator: User, api_for: Callable[..., APIClient]
    ) -> None:
        assert getattr(api_for(operator, *SCOPES), way.method)(way.address(theirs), way.sent).status_code == 200

        (entry,) = entries(operator)
        assert (entry.action, entry.reason) == (way.action, way.reason or BY_API * (way.method == "post"))
        assert way.after.items() <= entry.after.items()

    def test_leave_none_where_it_is_ones_own(
        self, way: Way, theirs: Theirs, owner: User, api_for: Callable[..., APIClient]
    ) -> None:
        assert getattr(api_for(owner, *SCOPES), way.method)(way.address(theirs), way.sent).status_code == 200

        assert entries(owner) == []


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("kind", ["batches", "campaigns"])
def test_a_pause_by_api_is_in_it_as_one_by_page_is(
    verb: str, kind: str, theirs: Theirs, operator: User, api_for: Callable[..., APIClient]
) -> None:
    api = api_for(operator, *SCOPES)
    for one in dict.fromkeys(("pause", verb)):
        assert api.post(f"/api/v1/{kind}/{theirs.campaign.pk}/{one}/").status_code == 200

    assert [entry.action for entry in entries(operator)] == [f"{one} batch" for one in dict.fromkeys(("pause", verb))]


def test_what_changes_nothing_leaves_no_entry(
    theirs: Theirs, operator: User, api_for: Callable[..., APIClient], client_for: Callable[[User], Client]
) -> None:
    done = theirs.jobs[0].pk
    assert api_for(operator, *SCOPES).post(f"/api/v1/jobs/{done}/cancel/").json()["verdict"] == "too_late"
    client_for(operator).post(f"/jobs/{done}/cancel/")
    client_for(operator).post(f"/campaigns/{theirs.campaign.pk}/review/1/judge/", {"review": ""})

    assert entries(operator) == []


def test_an_entry_stands_and_falls_with_its_change(theirs: Theirs, operator: User, api_for: Callable[..., APIClient]) -> None:
    GenerationModel.objects.filter(pk="sora-2").update(active=False)

    assert api_for(operator, *SCOPES).post(f"/api/v1/jobs/{theirs.jobs[1].pk}/retry/").status_code == 422
    assert entries(operator) == []


def test_the_right_is_asked_for_before_anything_is_done(theirs: Theirs, api_for: Callable[..., APIClient]) -> None:
    viewer = UserFactory(staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_job"))

    assert api_for(viewer, *SCOPES).post(f"/api/v1/jobs/{theirs.jobs[3].pk}/cancel/").status_code == 404
    assert entries(viewer) == []


def test_a_launch_is_in_it_whoever_launches(theirs: Theirs, owner: User) -> None:
    entry = AuditEntry.objects.get(actor=owner)
    assert (entry.action, entry.target, entry.after["jobs"]) == ("launch campaign", theirs.campaign.name, 4)
