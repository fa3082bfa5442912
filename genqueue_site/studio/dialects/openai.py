"""What OpenAI's APIs have in common: how a create call is read, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from genqueue_site.studio.floor import Floor, Full, Order
from genqueue_site.studio.jobs import Failure, Job
from genqueue_site.studio.wire import Refused, Request, Response, fields_of, json_response

LONGEST_PROMPT = 32_000
Fields = Mapping[str, object]
# how a synchronous call is refused whose generation ended badly; any other failure is a 500
FAILURES = {"moderation_blocked": 400, "expired": 504}


def error(refused: Refused) -> Response:
    """Return a refusal in the provider's format."""
    kind = {429: "rate_limit_error"}.get(refused.status, "server_error" if refused.status >= 500 else "invalid_request_error")
    fault = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    return json_response({"error": fault}, status=refused.status, headers=headers)


def bad_value(name: str, value: object, wanted: str) -> Refused:
    message = f"Invalid value for '{name}': expected {wanted}, but got {str(value)[:100]!r} instead."
    return Refused(400, message, code="invalid_value", param=name)


def missing(name: str) -> Refused:
    return Refused(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def known_only(fields: Fields, known: Sequence[str]) -> None:
    """:raises Refused: there is a field that the endpoint does not have."""
    for name in fields:
        if name not in known:
            raise Refused(400, f"Unknown parameter: '{name[:60]}'.", code="unknown_parameter", param=name[:60])


def text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"Invalid type for '{name}': expected a string.", code="invalid_type", param=name)
    return value


def prompt(fields: Fields) -> str:
    """:raises Refused: the prompt is missing, empty or too long."""
    found = text(fields, "prompt")
    if found is None:
        raise missing("prompt")
    if not found:
        words = "Invalid 'prompt': empty string. Expected a string with minimum length 1."
        raise Refused(400, words, code="empty_string", param="prompt")
    if len(found) > LONGEST_PROMPT:
        raise Refused(
            400,
            f"Invalid 'prompt': string too long. Expected a string with maximum length {LONGEST_PROMPT}, "
            f"but got a string with length {len(found)} instead.",
            code="string_above_max_length",
            param="prompt",
        )
    return found


def model(fields: Fields, models: Sequence[str], *, default: str | None = None) -> str:
    """:raises Refused: the model is missing or unknown."""
    found = text(fields, "model") or default
    if found is None:
        raise missing("model")
    if found not in models:
        message = f"The model '{found[:100]}' does not exist. Choose from: {', '.join(models)}."
        raise Refused(404, message, code="model_not_found", param="model")
    return found


def asked(default: str | None) -> Callable[[Request], tuple[str | None, str | None]]:
    """Return a function that reads model and prompt of a create call that may be malformed."""

    def read(request: Request) -> tuple[str | None, str | None]:
        try:
            fields = fields_of(request)
        except Refused:
            return None, None
        name, words = fields.get("model", default), fields.get("prompt")
        return name if isinstance(name, str) else None, words if isinstance(words, str) else None

    return read


def accepted(floor: Floor, order: Order) -> Job:
    """
    Accept a job.

    :raises Refused: the studio is full.
    """
    try:
        return floor.accept(order)
    except Full as full:
        raise Refused(429, str(full), code="rate_limit_exceeded", retry_after=full.retry_after) from full


def finished(floor: Floor, order: Order, *, but: Sequence[str] = ()) -> Job:
    """
    Accept a job and wait for its end, as a provider does that answers only with the result. ``but``: dooms of a job that are
    answered like a result.

    :raises Refused: the studio is full, or the job failed.
    """
    job = accepted(floor, order)
    floor.wait_for_end(job)
    if job.failure and job.doom not in but:
        raise refusal_of(job.failure)
    return job


def refusal_of(failure: Failure) -> Refused:
    return Refused(FAILURES.get(failure.code, 500), failure.message, code=failure.code)
