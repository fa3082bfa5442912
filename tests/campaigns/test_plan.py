"""The plan of a campaign: what is refused and in which words, what it costs, and what can be said before it is finished."""

from decimal import Decimal
from typing import Any

import pytest

from campaigns import plan
from campaigns.launch import launch
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from campaigns.plan import PlanRefused
from queue_app.models import GenerationModel, Job, Kind, ModelRoute, QueueSettings, User
from queue_app.work import capacity
from queue_app.work.intake import KindRestricted, ModelNotAvailable
from tests.campaigns.support import SMALL, full_matrix
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return UserFactory()


def brief(**fields: Any) -> plan.Brief:
    known: dict[str, Any] = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "model": "sora-2", "dimensions": SMALL}
    return plan.Brief(**{**known, **fields})


def problems(owner: User, **fields: Any) -> dict[str, str]:
    with pytest.raises(PlanRefused) as refused:
        plan.make(brief(**fields), owner)
    return {problem.field: problem.message for problem in refused.value.problems}


class TestWhatIsRefused:
    def test_an_empty_brief_names_all_that_is_needed(self, owner):
        assert problems(owner, brand=" ", big_idea="", model="", dimensions={}).keys() == {
            "brand",
            "big_idea",
            "model",
            "dimensions",
        }

    def test_a_text_that_is_too_long_says_by_how_much(self, owner):
        assert problems(owner, big_idea="x" * 2_010)["big_idea"].endswith("Shorten it by 10.")

    def test_a_retired_value_is_named_by_its_words(self, owner):
        DimensionValue.objects.filter(dimension__key="aesthetic", key="ugc").update(retired=True)
        said = problems(owner)["dimensions.aesthetic"]
        assert said == "“UGC” (Aesthetic) is no longer available. Remove it or choose another value."

    def test_an_unknown_value_gets_the_known_ones(self, owner):
        said = problems(owner, dimensions={"mood": ["grim"]})["dimensions.mood"]
        assert said.startswith("Unknown value “grim” for Mood. Available: wholesome, energetic, calm")

    def test_a_retired_dimension_is_no_longer_offered(self, owner):
        Dimension.objects.filter(key="mood").update(retired=True)
        assert problems(owner)["dimensions.mood"] == "Mood is no longer available. Remove its values."

    def test_an_unknown_dimension_gets_the_known_ones(self, owner):
        said = problems(owner, dimensions={"weather": ["rain"]})["dimensions.weather"]
        assert said.startswith("Unknown dimension “weather”. Available: funnel_level, aesthetic, ")

    def test_661_cells_and_more_name_the_dimension_that_multiplies_most(self, owner):
        dimensions = {**full_matrix(), "mood": ["calm", "energetic"]}
        said = problems(owner, dimensions=dimensions)["dimensions.city"]
        assert "1,320 combinations" in said and "Remove 6 of the 11 City values." in said

    def test_an_exclusion_of_what_is_not_chosen(self, owner):
        assert "uses “grim”" in problems(owner, exclude=[{"mood": "grim"}])["exclude[0]"]

    def test_everything_excluded(self, owner):
        said = problems(owner, exclude=[{"mood": "calm"}, {"mood": "energetic"}])["exclude"]
        assert said == "All combinations are excluded. Include at least one."

    def test_a_duration_that_the_model_lacks_gets_those_it_has(self, owner):
        assert "4, 5, 8, 10, 12, 16 or 20 s for sora-2, not 7" in problems(owner, duration=7)["duration"]

    def test_more_than_normal_priority_is_for_staff(self, owner):
        assert "Only staff" in problems(owner, priority=10)["priority"]
        assert plan.make(brief(priority=10), UserFactory(staff=True)).priority == 10

    @pytest.mark.parametrize("at_once", [0, 51])
    def test_at_once_is_1_to_50(self, owner, at_once):
        assert "from 1 to 50" in problems(owner, max_concurrent=at_once)["max_concurrent"]

    def test_a_model_that_nobody_offers_now(self, owner):
        ModelRoute.objects.filter(model="sora-2").update(active=False)
        with pytest.raises(ModelNotAvailable, match="sora-2 is not available right now"):
            plan.make(brief(), owner)


class TestWhatItCosts:
    def test_tickets_and_dollars_are_of_what_is_bought_and_nothing_else(self, owner):
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.")
        made = plan.make(brief(duration=10), owner)
        assert (len(made.cells), len(made.to_buy), made.total) == (4, 2, 4)
        assert (made.tickets_each, made.tickets, made.usd) == (10, 20, Decimal(10))

    def test_a_large_campaign_takes_the_queues_bulk_priority_unless_it_asks_for_another(self, owner):
        QueueSettings.objects.update(bulk_priority=-7)
        large = full_matrix()
        assert plan.make(brief(), owner).priority == 0
        assert plan.make(brief(dimensions=large), owner).priority == -7
        assert plan.make(brief(dimensions=large, priority=0), owner).priority == 0

    def test_its_jobs_say_by_which_rule_they_have_their_priority(self, owner):
        for given, why in (
            (brief(), "default for video"),
            (brief(dimensions=full_matrix()), "campaign over 20 videos"),
            (brief(priority=-5), "requested"),
        ):
            owner = UserFactory(tickets=10_000)
            launch(plan.make(given, owner), owner=owner, at=NOON, actor="owner")
            assert {*map(tuple, Job.objects.filter(owner=owner).values_list("priority_reasons", flat=True))} == {(why,)}

    def test_the_bulk_priority_is_the_queues_and_high_for_those_with_the_right(self):
        QueueSettings.objects.update(bulk_priority=10)
        lowered = "lowered from high to normal: above normal needs permission"
        large = brief(dimensions=full_matrix())
        for rights, level, more in ((["exceed_normal_priority"], 10, ()), ([], 0, (lowered,))):
            owner = UserFactory(tickets=10_000, rights=rights)
            made = launch(plan.make(large, owner), owner=owner, at=NOON, actor="owner")
            jobs = Job.objects.filter(owner=owner)
            assert (made.priority, {*jobs.values_list("priority", flat=True)}) == (level, {level})
            assert jobs.latest("id").priority_reasons == ["campaign over 20 videos", *more]

    def test_a_medium_whose_kind_is_restricted_takes_the_right(self, owner):
        Kind.objects.filter(pk="video").update(restricted=True)
        with pytest.raises(KindRestricted):
            plan.make(brief(), owner)
        assert plan.make(brief(), UserFactory(rights=["submit_restricted_kinds"])).tickets == 32

    def test_a_rule_of_another_brand_does_not_count(self, owner):
        other = Brand.objects.create(name="Nordlys")
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.", brand=other)
        assert not plan.make(brief(), owner).blocked
        assert plan.make(brief(brand="NORDLYS"), owner).blocked


class TestValuesInStaffsOrder:
    def test_whatever_the_order_of_their_rows(self, owner):
        DimensionValue.objects.filter(key="calm").update(position=0)
        made = plan.make(brief(dimensions={"mood": ["energetic", "calm"]}), owner)
        assert [cell.cell.values["mood"] for cell in made.cells] == ["calm", "energetic"]


class TestSketch:
    def sketch(self, owner: User, **fields: Any) -> plan.Sketch:
        ways = capacity.usable_routes()
        return plan.sketch(brief(**fields), owner, capacity.available_models(ways), ways)

    def test_without_a_big_idea_there_is_a_matrix_and_a_price_already(self, owner):
        sketch = self.sketch(owner, big_idea="")
        assert [problem.field for problem in sketch.problems] == ["big_idea"]
        assert sketch.plan is not None and sketch.plan.tickets == 32

    def test_without_a_model_there_is_a_matrix_and_no_price(self, owner):
        sketch = self.sketch(owner, model="")
        assert len(sketch.cells) == 4 and sketch.plan is None

    def test_without_values_there_is_the_prompt_of_the_brief_alone(self, owner):
        assert self.sketch(owner, dimensions={}).sample == "The parcel opens. Brand: Maison Alder."

    def test_excluded_cells_are_there_too_and_judged(self, owner):
        ComplianceRule.objects.create(name="No calm", pattern="calm", reason="Too quiet.")
        sketch = self.sketch(owner, exclude=[{"mood": "calm"}])
        assert [(one.excluded, one.blocked) for one in sketch.cells] == [(False, False), (True, True)] * 2

    def test_exclusions_of_what_is_not_chosen_are_left_out(self, owner):
        sketch = self.sketch(owner, exclude=[{"mood": "dramatic"}, {"mood": "calm"}])
        assert sketch.plan is not None and sketch.plan.brief.exclude == [{"mood": "calm"}]

    def test_a_model_that_nobody_offers_is_a_problem_of_its_field(self, owner):
        GenerationModel.objects.filter(pk="sora-2").update(active=False)
        sketch = self.sketch(owner)
        assert [problem.field for problem in sketch.problems] == ["model"]
        with pytest.raises(ModelNotAvailable):
            plan.finished(sketch)
