"""Who paused what: the last person who did, by the audit."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app.insight import pauses
from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules.limits import QUEUE
from queue_app.work import policy
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
MANIM, FAL = ("model", "manim"), ("account", "fal")


def pause(row: Any, *, by: Any, reason: str = "quality check", paused: bool = True) -> None:
    policy.change(row, at=NOON, actor=by, reason=reason, paused=paused, paused_reason=reason if paused else "")


def test_names_the_last_person_who_paused_each() -> None:
    ana, bob = UserFactory(username="ana", tickets=0), UserFactory(username="bob", tickets=0)
    manim = ModelConcurrencyLimit.objects.get(pk="manim")
    pause(manim, by=ana)
    pause(manim, by=ana, paused=False)
    pause(manim, by=bob)
    policy.change(manim, at=NOON, actor=ana, max_concurrent=9)  # no change of the pause
    pause(QueueSettings.objects.current(), by=ana)
    pause(ProviderAccount.objects.get(pk="fal"), by=bob)
    with CaptureQueriesContext(connection) as asked:
        found = pauses.by_people([QUEUE, MANIM, FAL, ("model", "sora-2")])
    assert {key: one.actor for key, one in found.items()} == {QUEUE: "ana", MANIM: "bob", FAL: "bob"}
    assert found[MANIM].at == NOON and len(asked) == 1


def test_names_nobody_where_genqueue_paused_it_itself_even_after_a_person() -> None:
    fal = ProviderAccount.objects.get(pk="fal")
    pause(fal, by=UserFactory(tickets=0))
    pause(fal, by=None, reason="Daily budget spent")  # still paused: only the reason changes
    assert pauses.by_people([FAL]) == {}


def test_asks_nothing_while_nothing_is_paused() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert pauses.by_people([]) == {} and len(asked) == 0
