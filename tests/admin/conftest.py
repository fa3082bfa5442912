"""Browsers of staff: with every right, with the rights of an operator, and with the right to look alone."""

from collections.abc import Callable
from typing import Protocol

import pytest
from django.test import Client

from queue_app.models import User
from tests.factories import UserFactory


class StaffWith(Protocol):
    def __call__(self, *codenames: str) -> tuple[User, Client]: ...


@pytest.fixture
def admin(client_for: Callable[[User], Client]) -> Client:
    return client_for(UserFactory(admin=True, username="ana", tickets=0))


@pytest.fixture
def staff_with(client_for: Callable[[User], Client]) -> StaffWith:
    """Make staff with these permissions of the queue, and no other."""

    def make(*codenames: str) -> tuple[User, Client]:
        user = UserFactory(staff=True, tickets=0, rights=codenames)
        assert user.user_permissions.count() == len(codenames)
        return user, client_for(user)

    return make
