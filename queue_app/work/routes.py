"""Whether a route can express a job. Checked at intake, and again at the claim, as routes change while jobs wait."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from queue_app.models import ModelRoute
from queue_app.rules.codec import CannotSay, Codec, say
from queue_app.rules.parameters import images_in

log = logging.getLogger(__name__)


def endpoint_for(codec: Codec, parameters: Mapping[str, Any], *, characters: int) -> str | None:
    """
    Return the endpoint that a job's images need in place of the route's own, or ``None``. ``characters`` is the length of its
    prompt.

    :raises CannotSay: the route can't express the job.
    """
    try:
        return say(codec, parameters, characters=characters)[1]
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # edited without the form that checks it
        log.error("a route's codec can't be used: %r", error)
        raise CannotSay("model", "This route is set up wrongly. Ask staff to fix its codec.") from error


def with_images_in_reach(routes: Iterable[ModelRoute], parameters: Mapping[str, Any]) -> list[ModelRoute]:
    """
    Return the routes whose providers can load a job's images: the studio, and every provider once this site has a public address.
    """
    needs_reach = any(images_in(parameters.get("images"))) and not settings.PUBLIC_URL.startswith("https://")
    return [route for route in routes if not needs_reach or route.account.is_preview]


def refusal(routes: Iterable[ModelRoute], parameters: Mapping[str, Any], *, characters: int) -> CannotSay | None:
    """Return why none of these routes can express a job, by the first of them; ``None`` if one can."""
    first = None
    for route in routes:
        try:
            endpoint_for(route.codec, parameters, characters=characters)
        except CannotSay as found:
            first = first or found
        else:
            return None
    return first
