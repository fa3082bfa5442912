"""Accounts with keys at a scripted provider, which is also asked when a webhook came."""

from collections.abc import Iterator

import pytest

from queue_app.models import ProviderAccount
from queue_app.providers import jwks, replicate
from tests.hooks.speakers import KEYS, SPEAKERS, Speaker, Vendor


@pytest.fixture
def vendor(db: None, settings) -> Iterator[Vendor]:
    jwks.RING.forget()
    replicate.SECRETS.forget()
    with Vendor() as server:
        ProviderAccount.objects.filter(pk__in=SPEAKERS).update(base_url=server.url)
        settings.PROVIDER_KEYS = KEYS
        settings.TRUSTED_ORIGINS = [server.url]
        settings.WEBHOOK_URL = "https://queue.example"
        yield server
    jwks.RING.forget()
    replicate.SECRETS.forget()


@pytest.fixture(params=SPEAKERS)
def speaker(request: pytest.FixtureRequest, vendor: Vendor) -> Speaker:
    return SPEAKERS[request.param]
