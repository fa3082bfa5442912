"""The factories: they reach every state by the verbs."""

import pytest

from queue_app.models import Kind, State, Wallet
from tests.factories import JobFactory, UserFactory, make_job


@pytest.mark.django_db
class TestFactories:
    @pytest.mark.parametrize("state", State.values)
    def test_a_job_is_brought_to_each_state(self, state):
        assert make_job(state).state == state

    def test_a_user_can_spend(self):
        owner = UserFactory(tickets=10)

        JobFactory(owner=owner, tickets=4)

        assert (Wallet.objects.get(owner=owner).available, Wallet.objects.get(owner=owner).reserved) == (6, 4)


class TestTheCatalogue:
    @pytest.mark.parametrize("run", [1, 2])
    @pytest.mark.django_db(transaction=True)
    def test_is_there_after_a_flush_too(self, run):
        assert Kind.objects.filter(pk="video").exists()
        assert make_job("completed").tickets == 4
