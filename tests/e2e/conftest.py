"""An installation with one campaign, and a browser."""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page

from campaigns.models import Campaign
from queue_app import clock, tickets
from queue_app.models import Asset, User
from tests import browser, films
from tests.campaigns.support import make_campaign
from tests.processes import Site


@pytest.fixture
def site(django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), installed() as site:
        yield site


@pytest.fixture(scope="module")
def shared_site(django_db_blocker: Any) -> Iterator[Site]:
    """A site shared by the tests of a file, none of which changes what others read."""
    with django_db_blocker.unblock(), installed() as site:
        yield site


@contextmanager
def installed() -> Iterator[Site]:
    """A site with a studio and a web server whose log must have no traceback. Tests start workers themselves."""
    with closing(Site(STUDIO_SECONDS_PER_JOB="1", WORKERS="3", SECRET_KEY=settings.SECRET_KEY)) as site:
        site.prepare()
        site.start_studio(seconds_per_job=1)
        web = site.start_web()
        yield site
        assert "Traceback" not in web.said(), web.said()


@pytest.fixture
def staff(site: Site) -> User:
    return ana_of_staff(site)


@cache
def hashed_password() -> str:
    """“password” as the product's settings hash it; those of the tests know a quicker way only."""
    return PBKDF2PasswordHasher().encode("password", "salt")


def ana_of_staff(site: Site) -> User:
    """Ana, a superuser with 5,000 tickets. Create rows before a tab is opened, or with `beside`."""
    with site.orm():
        rights = {"is_staff": True, "is_superuser": True}
        ana = User.objects.create(username="ana", email="ana@example.com", password=hashed_password(), **rights)
        tickets.grant(ana, 5_000, at=clock.now(), actor="tests", reason="to spend")
        return ana


def lay_files(site: Site) -> None:
    """Create an empty file of the right size for each asset."""
    for asset in Asset.objects.all():
        file = site.home / "media" / asset.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(asset.size))


def lay_films(site: Site) -> None:
    """Lay a video that plays, and a still, for every job that delivered."""
    film = films.make(site.home / "film.mp4", seconds=1).read_bytes()
    still = films.still(site.home / "still.webp").read_bytes()
    media = site.home / "media"
    videos = list(Asset.objects.filter(kind=Asset.Kind.VIDEO))
    for asset in videos:
        (media / asset.name).parent.mkdir(parents=True, exist_ok=True)
        (media / asset.name).write_bytes(film)
    Asset.objects.filter(kind=Asset.Kind.VIDEO).update(
        size=len(film), sha256=hashlib.sha256(film).hexdigest(), width=320, height=180, seconds=1.0
    )
    (media / "stills").mkdir(exist_ok=True)
    for asset in videos:
        name = f"stills/{asset.pk}.webp"
        (media / name).write_bytes(still)
        Asset.objects.create(
            job_id=asset.job_id,
            attempt_id=asset.attempt_id,
            kind=Asset.Kind.THUMBNAIL,
            name=name,
            content_type="image/webp",
            size=len(still),
            sha256=hashlib.sha256(still).hexdigest(),
            created_at=asset.created_at,
        )


@pytest.fixture
def campaign(site: Site) -> Campaign:
    return anas_campaign(site)


def anas_campaign(site: Site) -> Campaign:
    """A campaign of Ana's with four videos, launched and not started."""
    with site.orm():
        ana = User.objects.create(username="ana", first_name="Ana", password=hashed_password())
        tickets.grant(ana, 100, at=clock.now(), actor="tests", reason="to spend")
        return make_campaign(ana, name="Autumn scent", at=clock.now())


@pytest.fixture
def window(campaign: Campaign) -> Iterator[Page]:  # after the rows exist: Django refuses queries in an event loop
    with browser.window() as tab:
        yield tab
