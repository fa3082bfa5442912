"""Launching: all or nothing, once, and what is blocked is never bought."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import drafts, launch, plan
from campaigns.launch import LaunchRefused
from campaigns.models import Brand, Campaign, ComplianceRule, Draft, Version
from queue_app import lifecycle
from queue_app.models import Batch, Job, User, Wallet
from queue_app.tickets import NotEnoughTickets
from tests.campaigns.support import SMALL, full_matrix
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
FOUR = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "model": "sora-2", "duration": 4, "dimensions": SMALL}


def planned(owner: User, **fields: Any) -> plan.Plan:
    return plan.make(plan.Brief(**{**FOUR, **fields}), owner)


def launched(owner: User, **fields: Any) -> Campaign:
    return launch.launch(planned(owner, **fields), owner=owner, at=NOON, actor="owner")


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=100)


@pytest.fixture
def no_calm() -> ComplianceRule:
    return ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.", instead="serene")


class TestWhatIsBought:
    def test_every_cell_gets_a_job_with_its_prompt_and_its_price(self, owner):
        campaign = launched(owner)
        cells = list(campaign.combinations.order_by("index").select_related("job"))
        assert [cell.job.prompt for cell in cells] == [cell.prompt for cell in cells]
        assert [cell.job.tickets for cell in cells] == [4] * 4
        wallet = Wallet.objects.get(owner=owner)
        assert (wallet.available, wallet.reserved) == (84, 16)

    def test_a_job_is_named_by_the_values_in_which_cells_differ_and_by_a_later_version(self, owner):
        campaign = launched(owner, dimensions={**SMALL, "intention": ["educate"]})
        cells = list(campaign.combinations.order_by("index").select_related("job"))
        assert [cell.job.label for cell in cells] == [
            "UGC · Energetic",
            "UGC · Calm",
            "Cinematic · Energetic",
            "Cinematic · Calm",
        ]
        lifecycle.cancel([cells[0].job.pk], at=NOON, actor="owner")
        version, _ = launch.make_again(cells[0], "The parcel opens again.", at=NOON, by=owner)
        assert version.job.label == "UGC · Energetic · version 2"

    def test_of_one_cell_is_named_by_all_its_values(self, owner):
        launched(owner, dimensions={"aesthetic": ["ugc"], "intention": ["educate"]})
        assert Job.objects.get().label == "UGC · Educate"

    def test_its_number_is_its_batchs_and_each_cell_has_a_first_version(self, owner):
        campaign = launched(owner, max_concurrent=2)
        assert (campaign.batch.pk, campaign.batch.max_concurrent) == (campaign.pk, 2)
        assert list(Version.objects.values_list("number", flat=True)) == [1] * 4

    def test_a_blocked_cell_is_kept_with_its_reason_and_never_bought(self, owner, no_calm):
        campaign = launched(owner)
        blocked = campaign.combinations.filter(blocked=True)
        assert [cell.values["mood"] for cell in blocked] == ["calm", "calm"]
        assert {cell.job for cell in blocked} == {None}
        assert blocked[0].compliance["hits"][0]["instead"] == "serene"
        assert Job.objects.count() == 2

    def test_an_excluded_cell_is_no_part_of_it(self, owner):
        campaign = launched(owner, exclude=[{"mood": "calm"}])
        assert [cell.values["mood"] for cell in campaign.combinations.all()] == ["energetic", "energetic"]

    def test_a_new_brand_is_made_and_an_old_one_is_found_however_it_is_written(self, owner):
        old = Brand.objects.create(name="Maison Alder")
        assert launched(owner, brand="maison alder ").brand == old
        assert launched(owner, brand="Nordlys").brand.name == "Nordlys"

    @pytest.mark.parametrize(
        ("idea", "product", "name"),
        [
            ("the parcel opens. A season changes.", "", "The parcel opens"),
            ("Trail starts at your door: laces tighten", "Shoes", "Trail starts at your door"),
            (
                "A scent is a small holiday and the parcel opens and the room changes its season",
                "Candles",
                "Maison Alder, Candles",
            ),
            ("A scent is a small holiday and the parcel opens and the room changes its season", "", "Maison Alder campaign"),
        ],
    )
    def test_without_a_name_it_has_one_that_is_no_cut_brief(self, owner, idea, product, name):
        assert launched(owner, big_idea=idea, product_category=product).name == name

    def test_names_of_ours_are_told_apart_and_those_that_are_typed_stay(self, owner):
        assert [launched(owner).name for _ in range(3)] == ["The parcel opens", "The parcel opens 2", "The parcel opens 3"]
        assert [launched(owner, name=" Spring ").name for _ in range(2)] == ["Spring", "Spring"]
        assert launched(UserFactory()).name == "The parcel opens"


class TestAllOrNothing:
    def test_too_few_tickets_write_nothing_and_the_message_says_how_many_are_missing(self):
        poor = UserFactory(tickets=15)
        with pytest.raises(NotEnoughTickets, match="1 short"):
            launched(poor)
        assert not Campaign.objects.exists() and not Batch.objects.exists() and not Job.objects.exists()
        assert not Brand.objects.exists()
        assert Wallet.objects.get(owner=poor).available == 15

    def test_when_all_is_blocked_there_is_nothing_to_launch_and_the_message_says_by_what(self, owner, no_calm):
        said = "^All combinations are blocked by compliance rules. “calm” is not allowed: Too quiet. Use “serene” instead.$"
        with pytest.raises(LaunchRefused, match=said):
            launched(owner, big_idea="A calm day.")
        assert not Batch.objects.exists()

    def test_a_failure_at_the_last_row_takes_everything_back(self, owner, monkeypatch):
        def broken(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("the power went")

        monkeypatch.setattr(Version.objects, "bulk_create", broken)
        with pytest.raises(RuntimeError):
            launched(owner)
        assert not Batch.objects.exists() and not Job.objects.exists()
        assert Wallet.objects.get(owner=owner).reserved == 0


class TestOnce:
    def draft(self, owner: User) -> Draft:
        return drafts.save(owner, {"brand": "x"}, draft=uuid.uuid4(), revision=0, tab="t", at=NOON)

    def test_a_draft_launched_twice_gives_the_same_campaign(self, owner):
        draft, made = self.draft(owner), planned(owner)
        first, bought = launch.launch_draft(draft, made, at=NOON, actor="owner")
        again, bought_again = launch.launch_draft(draft, made, at=NOON, actor="owner")
        assert (first, bought, bought_again) == (again, True, False)
        assert Campaign.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_double_click_makes_one(self, owner):
        draft, made, start = self.draft(owner), planned(owner), Barrier(2)

        def press(_: int) -> tuple[int, bool]:
            start.wait()
            try:
                campaign, bought = launch.launch_draft(draft, made, at=NOON, actor="owner")
                return campaign.pk, bought
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as hands:
            pressed = list(hands.map(press, range(2)))
        assert len({number for number, _ in pressed}) == 1
        assert sorted(bought for _, bought in pressed) == [False, True]
        assert Job.objects.count() == 4


class TestMakingACellAgain:
    @pytest.mark.django_db(transaction=True)
    def test_two_who_press_at_once_make_one_more_version(self, owner):
        cell = launched(owner).combinations.get(index=1)
        lifecycle.cancel([cell.job_id], at=NOON, actor="owner")
        start = Barrier(2)

        def press(_: int) -> str:
            start.wait()
            try:
                launch.make_again(cell, "The parcel opens again.", at=NOON, by=owner)
            except LaunchRefused as refusal:
                return str(refusal)
            finally:
                connection.close()
            return "made"

        with ThreadPoolExecutor(2) as hands:
            said = sorted(hands.map(press, range(2)))
        assert said == ["A version is still generating. Wait for it or cancel it first.", "made"]
        assert cell.versions.count() == 2

    def test_the_version_that_is_meant_is_made_once(self, owner):
        cell = launched(owner).combinations.get(index=1)
        lifecycle.cancel([cell.job_id], at=NOON, actor="owner")
        first, is_new = launch.make_again(cell, "The parcel opens again.", at=NOON, by=owner, number=2)
        lifecycle.cancel([first.job_id], at=NOON, actor="owner")
        assert is_new
        assert launch.make_again(cell, "The parcel opens again.", at=NOON, by=owner, number=2) == (first, False)


class TestAFullMatrix:
    def test_of_660_is_bought_in_a_fixed_number_of_statements(self, figures):
        rich = UserFactory(tickets=100_000)
        dimensions = full_matrix()
        small, large = planned(rich), planned(rich, dimensions=dimensions)
        assert len(large.to_buy) == 660
        with CaptureQueriesContext(connection) as few:
            launch.launch(small, owner=rich, at=NOON, actor="owner")
        with CaptureQueriesContext(connection) as many:
            launch.launch(large, owner=rich, at=NOON, actor="owner")
        assert len(many) <= len(few) + 10  # bulk inserts go in chunks
        figures(f"launch: {len(few)} statements for 4 cells, {len(many)} for 660")
