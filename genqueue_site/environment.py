"""
The environment, read once. An invalid value stops startup and names its variable; an empty one counts as not set.

django-environ reads `.env` and the URLs of database and mail. Its other readers guess where these refuse: a flag `maybe` is
false, a factor `1x` is 1.0, a secret that begins with `$` is the value of another variable. Their errors name no variable.
"""

import os
import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured

from genqueue_site.studio import config as studio_config

FIX = "Fix it in the environment or .env."


def _bad(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"Invalid {name}={value!r}: must be {wanted}. {FIX}")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    """:raises ImproperlyConfigured: anything but 1, 0, true, false, yes, no, on, off."""
    value = text(name, "1" if default else "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise _bad(name, value, "1 or 0")


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """:raises ImproperlyConfigured: none of ``choices``."""
    value = text(name, default)
    if value not in choices:
        raise _bad(name, value, f"one of {', '.join(choices)}")
    return value


def whole(name: str, default: int, *, low: int, high: int) -> int:
    """:raises ImproperlyConfigured: not a whole number from ``low`` to ``high``."""
    value = text(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,18}", value) or not low <= int(value) <= high:  # isdigit() takes ², and int() does not
        raise _bad(name, value, f"a whole number from {low} to {high}")
    return int(value)


def factor(name: str, default: float, *, low: float, high: float) -> float:
    """:raises ImproperlyConfigured: not a factor from ``low`` to ``high``."""
    value = text(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise _bad(name, value, f"a factor from {low:g} to {high:g}")
    return number


def names(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def choices(name: str, allowed: Collection[str]) -> list[str]:
    """
    Return some of the ``allowed`` values, each once; all of them if the variable is not set.

    :raises ImproperlyConfigured: none, or one that is not allowed.
    """
    found = list(dict.fromkeys(names(name, ",".join(allowed))))
    if not found or not {*found} <= {*allowed}:
        raise _bad(name, text(name), f"one or more of {', '.join(allowed)}, separated by commas")
    return found


def origin(name: str, default: str) -> str:
    """:raises ImproperlyConfigured: not ``http(s)://host[:port]`` alone."""
    return _origin(name, text(name, default))


def origins(name: str, default: str = "") -> list[str]:
    """:raises ImproperlyConfigured: one of them is not ``http(s)://host[:port]`` alone."""
    return [_origin(name, part) for part in names(name, default)]


def _origin(name: str, value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise _bad(name, value, "an origin such as https://host or http://127.0.0.1:8001, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def url(name: str, default: str = "", *, schemes: Collection[str], such_as: str) -> str:
    """:raises ImproperlyConfigured: not a URL of one of ``schemes``. The message leaves it out: it may hold a password."""
    value = text(name, default)
    parts = _split(value)
    if value and (parts is None or parts.scheme not in schemes or "://" not in value):
        beginnings = ", ".join(f"{scheme}://" for scheme in schemes)
        raise _bad(name, "…", f"a URL such as {such_as} that begins with one of {beginnings}")
    return value


def mail(name: str, default: str) -> dict[str, Any]:
    """
    Return Django's settings of mail.

    :raises ImproperlyConfigured: not a URL of a kind of mail server.
    """
    such_as = "smtp+tls://user:password@host:587 or consolemail://"
    value = url(name, default, schemes=environ.Env.EMAIL_SCHEMES, such_as=such_as)
    return dict(environ.Env.email_url_config(value))


def database(name: str) -> dict[str, Any]:
    """
    Return a database of Django's settings; empty if none is given.

    :raises ImproperlyConfigured: not a URL of a PostgreSQL server.
    """
    found: dict[str, Any] = {}
    with suppress(ValueError):  # a port that is no number
        found = environ.Env.db_url_config(text(name)) if text(name) else {}
    if text(name) and found.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"Invalid {name}: must be a URL such as postgresql://user:password@host/name.")
    return found


def storage(name: str) -> dict[str, Any]:
    """
    Return the storage of Django's settings for files: the local one, or the object storage of a URL.

    :raises ImproperlyConfigured: not a URL such as ``s3://bucket/folder?endpoint=https://host&region=name``.
    """
    value = text(name)
    if not value:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    such_as = "s3://bucket/folder?endpoint=https://host&region=name"
    parts, asked = urlsplit(url(name, schemes=("s3",), such_as=such_as)), dict(parse_qsl(urlsplit(value).query))
    if not parts.netloc or "@" in value or asked.keys() - {"endpoint", "region"}:
        raise _bad(name, "…", f"a URL such as {such_as}, without keys")
    options = {"bucket_name": parts.netloc, "location": parts.path.strip("/"), "region_name": asked.get("region")}
    if "endpoint" in asked:
        options["endpoint_url"] = _origin(name, asked["endpoint"])
    return {"BACKEND": "genqueue_site.object_storage.ObjectStorage", "OPTIONS": {**options, "file_overwrite": False}}


def _split(value: str) -> SplitResult | None:
    """Return the parts of a URL; None if it or its port cannot be read."""
    try:
        parts = urlsplit(value)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def time_zone(name: str, default: str) -> str:
    """:raises ImproperlyConfigured: not a name of the tz database."""
    value = text(name, default)
    if value not in available_timezones():
        raise _bad(name, value, "a time zone name such as UTC or Europe/Berlin")
    return value


def studio() -> studio_config.Config:
    """
    Read the studio's settings: an invalid one stops every startup, not only the studio's.

    :raises ImproperlyConfigured: one of them is bad; the text names it.
    """
    try:
        return studio_config.read(os.environ)
    except studio_config.BadSetting as error:
        raise ImproperlyConfigured(f"{error} {FIX}") from error


def directory(name: str, default: Path) -> Path:
    """:raises ImproperlyConfigured: the home of an unknown user (``~unknown/``), or links in a circle."""
    try:
        return Path(text(name) or default).expanduser().resolve()
    except RuntimeError as error:
        raise _bad(name, text(name), "a directory that exists or can be created") from error


def must_be_writable(name: str, place: Path) -> None:
    """
    Create the directory that ``name`` is about if it is missing, and try a file in it.

    :raises ImproperlyConfigured: it cannot be created, or no file can be written in it.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        wanted = f"a directory that can be created and written to; {place} is not ({error.strerror})"
        raise _bad(name, text(name), wanted) from error


def secret(name: str, kept_in: Path) -> str:
    """
    Return a secret. If it is not set, generate one and keep it in ``kept_in`` (0600) for all processes of this checkout.

    :raises ImproperlyConfigured: shorter than 32 characters; or not set, and the one that is kept cannot be read.
    """
    value = text(name)
    if value:
        if len(value) < 32:
            raise _bad(name, "…", "at least 32 characters long")
        return value
    try:
        return _kept(kept_in)
    except OSError as error:
        said = f"{name} is not set and {kept_in} can't be read or created ({error.strerror})."
        raise ImproperlyConfigured(f"{said} Set {name} or fix that file.") from error


def _kept(kept_in: Path) -> str:
    kept_in.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept_in.with_name(f"{kept_in.name}.{os.getpid()}")
    if not kept_in.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(50))
        try:
            with suppress(FileExistsError):  # the first to link has won; the file is never seen half written
                os.link(fresh, kept_in)
        finally:
            fresh.unlink()
    return kept_in.read_text().strip()
