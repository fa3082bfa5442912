"""Price drift: what providers charged beside what our rules say, per model and parameters, and the page that shows it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app import clock
from queue_app.insight import drift
from queue_app.models import Attempt, CostSource, GenerationModel, State
from tests.factories import UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
PAGE = "/admin/drift/"


def charged(usd, *, at=None, source=CostSource.VENDOR, preview=False, **fields):
    """A delivered job whose provider charged this."""
    job = make_job(State.COMPLETED, at=at or clock.now() - timedelta(hours=1), **fields)
    Attempt.objects.filter(job=job).update(cost=Decimal(usd), cost_source=source, preview=preview)
    return job


def lines(at=None, **options):
    at = at or clock.now()
    return drift.of(at - timedelta(days=30), at, **options).lines


class TestOf:
    def test_groups_by_model_and_the_parameters_that_prices_follow(self):
        owner = UserFactory()
        for seed, usd in ((1, "2.20"), (2, "2.40")):
            charged(usd, owner=owner, parameters={"duration": 4, "seed": seed, "images": {"first_frame": "x"}, "loop": False})
        charged("4.00", owner=owner, parameters={"duration": 8})

        found = {line.parameters["duration"]: line for line in lines()}

        assert [(line.attempts, line.charged, line.least, line.most) for line in found.values()] == [
            (2, Decimal("2.30"), Decimal("2.20"), Decimal("2.40")),
            (1, Decimal("4.00"), Decimal("4.00"), Decimal("4.00")),
        ]
        assert found[4].parameters == {"duration": 4}
        assert (found[4].rule, found[4].difference, found[4].too_little) == (Decimal("2.00"), Decimal(15), Decimal("0.60"))
        assert (found[4].is_off, found[8].is_off) == (True, False)

    def test_counts_only_what_providers_reported_in_time(self):
        charged("2.00", source=CostSource.RULE)
        charged("2.00", source=CostSource.ESTIMATE)
        charged("2.00", at=clock.now() - timedelta(days=31))
        make_job(State.FAILED)
        assert lines() == []

    def test_previews_are_apart(self):
        charged("9.00", preview=True)
        assert lines() == [] and len(lines(preview=True)) == 1

    def test_follows_the_rule_as_it_is_now(self):
        charged("4.00")
        GenerationModel.objects.filter(pk="sora-2").update(price={"rates": [{"when": {"duration": 4}, "usd": "1.00"}]})
        (line,) = lines()
        assert (line.rule, line.is_off) == (Decimal("4.00"), False)

    def test_a_model_without_a_price_is_off_if_it_costs(self):
        charged("0.10", model_id="manim")
        charged("0.00", model_id="manim", parameters={"duration": 8})
        assert [(line.difference, line.is_off) for line in lines()] == [(None, True), (None, False)]

    def test_takes_two_queries_by_the_index(self):
        for duration in (4, 5, 8):
            charged("2.00", parameters={"duration": duration})
        at = clock.now()
        with CaptureQueriesContext(connection) as queries:
            lines(at=at)
        assert len(queries) == 2


class TestPage:
    def test_shows_what_differs(self, client_for):
        charged("2.30")
        charged("4.00", parameters={"duration": 8})

        html = html_of(client_for(UserFactory(admin=True)).get(PAGE))

        for words in ("+15%", "as the rule", "$2.30", "$2.00", "4s, 16:9", "of 2, by more than 5%"):
            assert words in html
        assert 'href="/admin/queue_app/generationmodel/sora-2/change/"' in html

    def test_says_when_there_is_nothing(self, client_for):
        assert "No charges reported" in html_of(client_for(UserFactory(admin=True)).get(f"{PAGE}?of=studio"))

    def test_needs_both_rights(self, client_for):
        for rights in (["view_job"], ["view_generationmodel"]):
            assert client_for(UserFactory(staff=True, rights=rights)).get(PAGE).status_code == 403
        both = client_for(UserFactory(staff=True, rights=["view_job", "view_generationmodel"]))
        assert both.get(PAGE).status_code == 200
        assert both.post(PAGE).status_code == 405
        assert client_for(UserFactory()).get(PAGE).status_code == 302
