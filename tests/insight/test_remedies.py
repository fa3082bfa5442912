"""Whether a retry is the remedy of a failed job."""

import pytest

from queue_app.insight import remedies
from queue_app.providers.base import ErrorKind


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
