"""The system checks of the queue's settings."""

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from queue_app import checks
from queue_app.models import ModelRoute, ProviderAccount
from queue_app.providers import calls
from queue_app.rules.times import Times
from tests.factories import make_route


def words(found: list[Any]) -> str:
    return " ".join(f"{message.msg} {message.hint}" for message in found)


class TestTimesNest:
    def test_as_shipped_they_do(self) -> None:
        assert checks.times_nest(None) == []

    def test_a_lease_shorter_than_the_call_is_an_error(self, settings: Settings) -> None:
        settings.TIMES = replace(Times(), lease=29)
        assert "create_call (30s) must be shorter than lease (29s)" in words(checks.times_nest(None))

    @pytest.mark.parametrize(
        ("times", "problem"),
        [
            ({"long_lease": 170}, "long_create_call (170s) must be shorter than long_lease (170s)"),
            ({"long_task": 199}, "long_lease (200s) must be shorter than long_task (199s)"),
            ({"long_grace": 200}, "long_task (230s) must be shorter than long_grace (200s)"),
        ],
    )
    def test_so_must_those_of_long_calls(self, settings: Settings, times: dict[str, float], problem: str) -> None:
        settings.TIMES = replace(Times(), **times)
        assert problem in words(checks.times_nest(None))

    def test_a_long_call_ends_within_its_own_time(self) -> None:
        assert Times().create_call >= calls.CREATE_SECONDS
        assert Times().long_create_call >= calls.LONG_CREATE_SECONDS

    @pytest.mark.parametrize(("queue", "seconds"), [("default", 60), ("long", 230), ("store", 300)])
    def test_a_cluster_that_ends_its_tasks_at_another_time_is_an_error(
        self, settings: Settings, queue: str, seconds: int
    ) -> None:
        own = settings.Q_CLUSTER["ALT_CLUSTERS"]
        other = {"timeout": 90} if queue == "default" else {"ALT_CLUSTERS": {**own, queue: {**own[queue], "timeout": 90}}}
        settings.Q_CLUSTER = {**settings.Q_CLUSTER, **other}
        assert f"queue {queue} ends its tasks after 90s, not after {seconds}s" in words(checks.times_nest(None))


class TestTasksAreNotDeliveredTwice:
    def test_as_shipped_they_are_not(self) -> None:
        assert checks.tasks_are_not_delivered_twice(None) == []

    @pytest.mark.parametrize("workers", [1, 2, 4, 64])
    def test_nor_with_other_numbers_of_workers(self, settings: Settings, workers: int) -> None:
        number = {"workers": workers, "queue_limit": workers}
        own = settings.Q_CLUSTER["ALT_CLUSTERS"]
        settings.Q_CLUSTER = {**settings.Q_CLUSTER, **number, "ALT_CLUSTERS": {**own, "long": {**own["long"], **number}}}
        assert checks.tasks_are_not_delivered_twice(None) == []

    def test_a_queue_that_takes_too_much_ahead_is_an_error(self, settings: Settings) -> None:
        store = {**settings.Q_CLUSTER["ALT_CLUSTERS"]["store"], "queue_limit": 20}
        settings.Q_CLUSTER = {**settings.Q_CLUSTER, "ALT_CLUSTERS": {**settings.Q_CLUSTER["ALT_CLUSTERS"], "store": store}}
        (error,) = checks.tasks_are_not_delivered_twice(None)
        assert error.msg == "Queue store: retry is 1000s and must be at least 3666s."

    def test_the_rule(self) -> None:
        conf = {"timeout": 60, "queue_limit": 4, "bulk": 1, "workers": 4}
        assert checks.least_retry(conf) == (60 + 3) * (1 + 2) + 30


@pytest.mark.django_db
class TestAdaptersExist:
    def test_an_account_whose_adapter_is_missing_is_named_once(self) -> None:
        ProviderAccount.objects.create(key="elsewhere", adapter="telepathy")
        for endpoint in ("a", "b"):
            make_route(model_id="sora-2", account_id="elsewhere", endpoint_id=endpoint)
        assert words(checks.adapters_exist(None, databases=["default"])).count("elsewhere (telepathy)") == 1

    def test_a_route_that_is_off_is_no_trouble(self) -> None:
        ModelRoute.objects.exclude(account__adapter="openai_videos").update(active=False)
        assert checks.adapters_exist(None, databases=["default"]) == []

    def test_no_database_is_asked_where_none_was_named(self) -> None:
        assert settings.DATABASES
        assert checks.adapters_exist(None) == []


class TestStageHooks:
    def test_are_functions_that_can_be_called(self, settings: Settings) -> None:
        assert checks.stage_hooks_exist(None) == []
        settings.STAGE_HOOKS = {"before": ["tests.test_checks.words"], "after": ["shop.told"], "error": ["os.path"]}
        found = [message.msg for message in checks.stage_hooks_exist(None)]
        assert [one.partition(" ")[0] for one in found] == ["STAGE_HOOKS_AFTER:", "STAGE_HOOKS_ERROR:"]
        assert "shop.told can't be imported" in found[0] and found[1].endswith("os.path is no function.")
