"""The simulated day in short: the real queue by a virtual clock."""

from collections.abc import Iterator

import pytest

from benchmarks import day, day_plan
from benchmarks.day import Day
from queue_app import clock
from queue_app.models import Job, JobEvent, Reservation, User

pytestmark = pytest.mark.django_db
JOBS = 100


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> Iterator[None]:
    """The day keeps rows of the catalogue, which belong to this module's database."""
    day.catalogue.cache_clear()
    yield
    day.catalogue.cache_clear()


def played(seed: int) -> Day:
    plan = day_plan.draw(seed, JOBS)
    day.set_up(plan)
    found = Day(plan, name=f"day{seed}-{User.objects.count()}")
    found.play()
    return found


def test_a_day_passes_no_limit_keeps_each_account_in_turn_and_is_fair_and_is_the_same_again() -> None:
    one = played(5)
    again = played(5)

    assert (one.checks.passed, one.checks.out_of_turn, one.checks.unfair) == ([], [], [])
    assert sum(one.ends.values()) == JOBS and not Job.objects.open().exists()
    assert one.checks.windows and one.checks.share_error < 0.05
    assert one.claims == again.claims and one.fingerprint == again.fingerprint
    assert not Reservation.objects.filter(state=Reservation.State.HELD).exists()
    assert JobEvent.objects.filter(reason="priority raised by waiting").exists()
    assert clock.offset.total_seconds() == 0


def test_another_seed_is_another_day_of_as_many_jobs() -> None:
    one, other = day_plan.draw(1, 2_000), day_plan.draw(2, 2_000)

    assert one.orders != other.orders and one.orders == day_plan.draw(1, 2_000).orders
    assert {sum(len(order.ways) for order in plan.orders) for plan in (one, other)} == {2_000}
    assert {order.priority for order in one.orders} == {day_plan.LOW, day_plan.NORMAL, day_plan.HIGH}


def test_a_task_goes_the_same_way_however_the_queue_treats_it() -> None:
    plan = day_plan.draw(1, 500)
    order = plan.orders[0]

    assert plan.task(order, 0, 1) == plan.task(order, 0, 1) != plan.task(order, 0, 2)
