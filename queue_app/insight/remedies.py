"""What to do about a job that failed, by the code of its error."""

_AGAIN = "Nothing is wrong with the job itself. Retry it."
_EDIT = "Edit the prompt, then make it again; a retry alone will be refused again."
_STAFF = "Staff must look at the provider account first, then retry."

_REMEDIES = {
    "rejected": _EDIT,
    "moderation": _EDIT,
    "moderation_blocked": _EDIT,
    "content_policy_violation": _EDIT,
    "invalid_request": "The provider does not take it as it is. Change the prompt or the parameters, then make it again.",
    "auth": _STAFF,
    "quota": _STAFF,
    "timeout": "It ran too long and was stopped. Retry it, or choose a shorter duration.",
    "not_delivered": "The provider made it, but its file could not be had. Staff can look at it; a retry makes it anew.",
    "unknown": "Nobody could tell what became of it. Staff can ask the provider; a retry makes it anew.",
    "poison": "It ended several workers in a row. Tell staff before you retry it.",
    "forced": "Staff ended it by hand and said why. Ask them before you retry it.",
}


def of(code: str) -> str:
    """Give one or two sentences for people."""
    return _REMEDIES.get(code, _AGAIN)
