"""What to do about a failed job, and whether a retry is it."""

import ast
from pathlib import Path

import pytest
from django.apps import apps

from queue_app.insight import remedies
from queue_app.providers.base import ErrorKind, TaskState


@pytest.mark.parametrize(
    ("code", "kind", "retried"),
    [
        ("provider_failed", "", True),
        ("timeout", "", True),
        ("quota", "", True),  # after staff have fixed the account
        ("a code of theirs", ErrorKind.RETRYABLE, True),
        ("", "", True),
        ("moderation_blocked", "", False),
        ("invalid_request", "", False),
        ("deadline_passed", "", False),
        ("a code of theirs", ErrorKind.REJECTED, False),
    ],
)
def test_a_retry_is_offered_where_it_may_help(code: str, kind: str, retried: bool) -> None:
    assert remedies.is_retried(code, kind) is retried


def codes_of_ours() -> set[str]:
    """Return every code of an error that our code writes itself, from its source."""
    found = {str(kind) for kind in ErrorKind} | {str(state) for state in (TaskState.FAILED, TaskState.LOST, TaskState.CANCELED)}
    for path in (Path(apps.get_app_config("queue_app").path)).rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            said = [*call.args[:1]] if name == "Trouble" else []
            if name in ("ProviderError", "_end"):
                said = [keyword.value for keyword in call.keywords if keyword.arg in ("code", "error_code")]
            found |= {one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value}
    return found


def test_every_code_that_our_code_writes_has_a_remedy() -> None:
    found = codes_of_ours()
    assert {"poison", "deadline_passed", "not_sent", "rate_limited", "lost", "forced"} <= found
    assert [code for code in sorted(found) if remedies.of(code) == remedies.of("a code of theirs")] == []


def test_the_kind_of_an_error_says_more_than_a_code_of_ours_that_may_mean_anything() -> None:
    assert remedies.of("no_result", ErrorKind.REJECTED) != remedies.of("no_result") == remedies.of("lost")
