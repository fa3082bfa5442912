"""The typeface of the pages: found, served with its type and a long cache time, collected, and used by the style sheet."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from whitenoise.middleware import WhiteNoiseMiddleware

INTER = "gq/fonts/inter-4.1.ttf"


def test_it_is_found_and_its_address_has_the_version_that_is_installed() -> None:
    place = finders.find(INTER)
    assert isinstance(place, str) and Path(place).read_bytes()[:4] == b"\x00\x01\x00\x00"
    assert finders.find(INTER, find_all=True) == [place]
    assert finders.find("gq/fonts/other.ttf") is None
    assert version("fontpkg-inter").startswith("4.1.")  # others need another URL: browsers cache this one for a year


def test_the_style_sheet_names_it() -> None:
    sheet = finders.find("gq/theme.css")
    assert isinstance(sheet, str) and 'url("fonts/inter-4.1.ttf")' in Path(sheet).read_text()


def test_it_is_served_with_its_type_and_for_long(client: Client) -> None:
    answer = client.get(f"/static/{INTER}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "font/ttf")
    assert "immutable" in answer["Cache-Control"]
    assert "immutable" not in client.get("/static/gq/theme.css")["Cache-Control"]


@pytest.mark.parametrize("looks_again", [False, True])
def test_the_web_has_it_without_collectstatic(settings: Any, tmp_path: Path, looks_again: bool) -> None:
    settings.STATIC_ROOT, settings.WHITENOISE_AUTOREFRESH = tmp_path, looks_again
    web = WhiteNoiseMiddleware()
    address = f"/static/{INTER}"
    assert web.find_file(address) if looks_again else address in web.files


def test_it_is_collected(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    call_command("collectstatic", interactive=False, verbosity=0)
    assert (tmp_path / INTER).read_bytes() == Path(str(finders.find(INTER))).read_bytes()
