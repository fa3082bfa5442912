"""``manage.py create_api_key USER [--scope read submit …]``: print only the new API key on stdout."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queue_app import clock
from queue_app.models import ApiKey, User
from queue_app.work import keys
from queue_app.work.keys import NewKey

DEFAULT_SCOPES = ("read", "submit")


class Command(BaseCommand):
    help = "Create an API key. Printed once to stdout; only a hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="a username")  # required by `handle`: --scope may have consumed it
        known = f"one or more of {', '.join(ApiKey.SCOPES)}; repeatable (default: {' '.join(DEFAULT_SCOPES)})"
        parser.add_argument("--scope", action="extend", nargs="+", dest="scopes", help=known)
        parser.add_argument("--name", default="", help="a label, shown in lists")

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Create and print the key.

        :raises CommandError: unknown user, unknown scope, or a name of more than 100 characters.
        """
        username, scopes = _apart(options["user"], list(options["scopes"] or DEFAULT_SCOPES))
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"Unknown user “{username}”.")
        scopes = list(dict.fromkeys(scopes))
        if unknown := [scope for scope in scopes if scope not in ApiKey.SCOPES]:
            raise CommandError(f"Unknown scope “{unknown[0]}”. Available: {', '.join(ApiKey.SCOPES)}.")
        if len(options["name"]) > ApiKey.NAME_MOST:
            raise CommandError(f"The name is {len(options['name'])} characters; the limit is {ApiKey.NAME_MOST}.")
        _, key = keys.make(user, NewKey(options["name"], tuple(scopes)), at=clock.now(), actor=None)
        self.stdout.write(key)


def _apart(username: str | None, scopes: list[str]) -> tuple[str, list[str]]:
    """
    Separate the user name from the scopes if it follows them, as in ``--scope read USER``.

    :raises CommandError: there is no user name.
    """
    if username is not None:
        return username, scopes
    others = [word for word in scopes if word not in ApiKey.SCOPES]
    if not others or len(scopes) == 1:
        raise CommandError("The following arguments are required: user", returncode=2)
    scopes.remove(others[-1])
    return others[-1], scopes
