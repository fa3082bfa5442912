"""What to do about a job that failed, by the code of its error; by the error's kind where the code is the vendor's own."""

from queue_app.providers.base import FINAL, ErrorKind

_AGAIN = "Nothing is wrong with the job itself. Retry it."
_EDIT = "Edit the prompt, then make it again; a retry alone will be refused again."
_STAFF = "Staff must look at the provider account first, then retry."
_FINAL = "Refused for good; a retry alone will be refused again."
_NONE = "No advice for this error; its message says what the provider said."

_REMEDIES = {
    "rejected": _EDIT,
    "moderation": _EDIT,
    "moderation_blocked": _EDIT,
    "content_policy_violation": _EDIT,
    "invalid_request": "The provider does not take it as it is. Change the prompt or the parameters, then make it again.",
    "auth": _STAFF,
    "quota": _STAFF,
    "timeout": "It ran too long and was stopped. Retry it, or choose a shorter duration.",
    "deadline_passed": "It waited past its deadline and was never sent. Submit it again with a later deadline, or none.",
    "not_delivered": "The provider made it, but its file could not be had. Staff can look at it; a retry makes it anew.",
    "unknown": "Nobody could tell what became of it. Staff can ask the provider; a retry makes it anew.",
    "poison": "It ended several workers in a row. Tell staff before you retry it.",
    "forced": "Staff ended it by hand and said why. Ask them before you retry it.",
    # our own words for what may pass: nobody said anything against the job
    **dict.fromkeys(("failed", "lost", "canceled", "provider_failed", "not_accepted", "not_begun", "no_answer"), _AGAIN),
}
_OF_KIND = {
    **dict.fromkeys(FINAL, _FINAL),
    **dict.fromkeys((ErrorKind.AUTH, ErrorKind.QUOTA), _STAFF),
    **dict.fromkeys((ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED), _AGAIN),
}


def of(code: str, kind: str = "") -> str:
    """Give one or two sentences for people; ``kind`` is the `ErrorKind` of the last attempt, where one is known."""
    return _REMEDIES.get(code) or _OF_KIND.get(kind) or _OF_KIND.get(code, _NONE)  # type: ignore[call-overload]
