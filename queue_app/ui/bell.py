"""The bell in the header of every page: how many notices its user has not read."""

from queue_app.models import Notice

MOST = 99
HEADER = "Genqueue-Unread"  # of every fragment, so that the bell of an open page renews with whatever the page asks for


def unread(user: int | None) -> int:
    """Return the number of a user's unread notices; `MOST` + 1 if there are more."""
    return Notice.objects.filter(user=user, read_at=None)[: MOST + 1].count() if user else 0


def shown(number: int) -> str:
    """Return the number as the bell shows it: empty for none, “99+” for more than that."""
    return f"{MOST}+" if number > MOST else str(number or "")
