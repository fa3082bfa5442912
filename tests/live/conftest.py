"""A site of real processes that the tests of live updates share."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import connection

from queue_app.models import ApiKey, User
from tests.processes import Site


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        made.prepare()
        made.start_web()
        yield made


@pytest.fixture
def rows(site: Site, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock(), site.orm():
        yield


def key_of(user: User, *scopes: str) -> str:
    return ApiKey.objects.create(user, scopes=list(scopes or ("read",)))[1]


def connections_of_the_web() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]
