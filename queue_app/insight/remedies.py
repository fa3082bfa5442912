"""The remedy for a failed job, by the code of its error, or by the kind of the error if the code is the provider's own."""

from queue_app.providers.base import FINAL, ErrorKind

_AGAIN = "Temporary problem. Retry it."
_EDIT = "Edit the prompt and generate again. A plain retry will be rejected again."
_STAFF = "Staff must fix the provider account first. Then retry."
_FINAL = "Permanently rejected. A plain retry will be rejected again."
_NONE = "See the job's error message."
_CHANGE = "The provider rejected this input. Change the prompt or settings and generate again."
_LATE = "Its deadline passed before it was sent. Submit it again with a later deadline or none."
_UNKNOWN = "The provider never confirmed it. Retry it, or ask staff to check with the provider."
_SHORTER = "The text was cut off at the model's limit. Ask for a shorter one and generate again."
_ANSWERS = "The model's answers could not be used. Retry it, or ask staff for another model. Finished parts are not paid again."
_DATA = "Submit it as a new page with the data that the error names."
_NO_RETRY = {_EDIT, _FINAL, _CHANGE, _LATE, _SHORTER, _DATA}  # remedies that are no retry

_REMEDIES = {
    "rejected": _EDIT,
    "moderation": _EDIT,
    "moderation_blocked": _EDIT,
    "content_policy_violation": _EDIT,
    "invalid_request": _CHANGE,
    "auth": _STAFF,
    "quota": _STAFF,
    "timeout": "It timed out. Retry it or choose a shorter duration.",
    "deadline_passed": _LATE,
    "not_delivered": "The provider finished, but the file could not be saved. Retry it, or ask staff to recover it.",
    "unknown": _UNKNOWN,
    "poison": "It crashed several workers. Tell staff before you retry it.",
    "forced": "Staff stopped this job. Check with them before you retry it.",
    "settled_by_hand": "Staff resolved this job by hand. Check with them before you retry it.",
    "cancelled": "It was cancelled. Retry it if you still want it.",
    "invalid_parameter": _CHANGE,
    "too_large": _CHANGE,
    "cut_off": _SHORTER,
    "refusal": _EDIT,
    # of jobs in stages: the data, the model's answers, our own code
    **dict.fromkeys(("invalid_page", "page_plan_refused"), _DATA),
    **dict.fromkeys(("not_json", "wrong_shape", "empty", "not_read", "not_needed"), _ANSWERS),
    **dict.fromkeys(("stage_failed", "worker_died"), _AGAIN),
    # our own codes for errors that may pass: the provider had no objection to the job
    **dict.fromkeys(("failed", "lost", "canceled", "provider_failed", "not_accepted", "not_begun", "no_answer"), _AGAIN),
}
_OF_KIND: dict[str, str] = {
    **dict.fromkeys(map(str, FINAL), _FINAL),
    **dict.fromkeys(map(str, (ErrorKind.AUTH, ErrorKind.QUOTA)), _STAFF),
    **dict.fromkeys(map(str, (ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED, ErrorKind.CANCELED)), _AGAIN),
    str(ErrorKind.AMBIGUOUS): _UNKNOWN,
}
# codes of ours that say less than the kind of their error
_OTHERS = dict.fromkeys(
    (
        *("not_sent", "unreadable", "not_readable", "not_saved", "not_ready", "not_done", "too_slow"),
        *("no_file", "no_output", "no_result", "no_asset", "no_variant", "no_list", "no_address"),
    ),
    _AGAIN,
)


def is_about_the_job(code: str) -> bool:
    """Whether an error may depend on what the job asks for; not if it is an outage, a time limit or a decision of staff."""
    return of(code) in {_EDIT, _CHANGE, _FINAL, _NONE}


def needs_another_prompt(code: str) -> bool:
    """Whether a plain retry would fail again, as the provider objected to the prompt."""
    return _REMEDIES.get(code) == _EDIT or code == "invalid_request"


def of(code: str, kind: str = "") -> str:
    """Return one or two sentences; ``kind`` is the `ErrorKind` of the last attempt, if known."""
    return _REMEDIES.get(code) or _OF_KIND.get(kind) or _OF_KIND.get(code) or _OTHERS.get(code, _NONE)


def is_retried(code: str, kind: str = "") -> bool:
    """Return whether a plain retry may help, perhaps after something else was put right."""
    return of(code, kind) not in _NO_RETRY
