"""The parsers of request bodies: JSON without anything that could be read in two ways or cannot be stored, and files."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import DataAndFiles, JSONParser, MultiPartParser

from queue_app.api.errors import BodyTooLarge
from queue_app.rules import nesting, words

NESTED_MOST = nesting.KEPT_MOST + 4  # levels: what is stored lies in a job, in a list, in the body


class StrictJSONParser(JSONParser):
    """
    JSON by RFC 8259 that can be stored: no NaN, no number without bounds, no name twice in an object, no unpaired surrogate, no
    endless nesting.
    """

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """
        :raises ParseError: not such JSON. :raises ValidationError: a name appears twice in an object, or it is nested too deep.
        :raises BodyTooLarge: more bytes than the site takes.
        """
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge
        try:
            text = raw.decode("utf-8")
            parsed = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse, parse_float=_finite)
            if nesting.is_deeper(parsed, NESTED_MOST):
                raise ValidationError(
                    {nesting.place_of_deeper(parsed, NESTED_MOST): [f"Nested more than {nesting.KEPT_MOST} levels deep."]}
                )
            if "\\ud" in text.lower():  # an escape that may be half of a pair: such text can't be stored or sent back
                json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ParseError("The body contains an unpaired surrogate. Send valid Unicode.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as problem:
            raise ParseError(f"The body is not valid JSON: {problem}.") from None
        return parsed


class FileParser(MultiPartParser):
    """multipart/form-data, for calls that take a file."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> "DataAndFiles[Any, Any]":
        """:raises ValidationError: the form can't be read, or has a file or a field twice."""
        try:
            found = super().parse(stream, media_type, parser_context)
        except ParseError:
            raise ValidationError({"file": ["The form can't be read. Send it as multipart/form-data."]}) from None
        for name, values in [*found.data.lists(), *found.files.lists()]:
            if len(values) > 1:
                raise ValidationError({words.storable(name): ["Send it once."]})
        return found


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """:raises ValidationError: naming a name that appears twice in this object: either value could be meant."""
    found = dict(members)
    if len(found) < len(members):
        names = Counter(name for name, _ in members)
        repeated = next(name for name, times in names.items() if times > 1)
        message = f"“{words.storable(repeated)}” appears more than once in an object. Send it once."
        raise ValidationError({words.storable(repeated): [message]})
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large")
    return number
