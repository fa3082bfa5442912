"""The choice of an answer's media type by the Accept header."""

from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import _MediaType

from queue_app.api.errors import CONTENT_TYPE


class Tolerant(DefaultContentNegotiation):
    """Ignores unreadable media types in an Accept header, and a ``?format=`` that is not served."""

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str | None) -> list[BaseRenderer]:
        """Return all renderers for an unknown format. `StrictAPIView` refuses it by name."""
        every = [*renderers]
        return [one for one in every if one.format == format] or every

    def get_accept_list(self, request: Request) -> list[str]:
        return [wanted for wanted in super().get_accept_list(request) if _is_media_type(wanted)]


class OnlyJson(Tolerant):
    """JSON for clients that accept JSON or, like the problems, JSON by the name of ``application/problem+json``."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """:raises NotAcceptable: the client accepts neither."""
        renderer = next(iter(renderers))
        served = [_MediaType(renderer.media_type), _MediaType(CONTENT_TYPE)]
        if any(one.match(_MediaType(wanted)) for wanted in self.get_accept_list(request) for one in served):
            return renderer, renderer.media_type
        raise NotAcceptable


class OneType(BaseContentNegotiation):
    """One media type, whatever the client prefers. Problems are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


def _is_media_type(text: str) -> bool:
    try:
        _MediaType(text)
    except ValueError:  # such as a parameter in an unknown encoding
        return False
    return True
