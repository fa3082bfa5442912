"""``manage.py create_api_key USER [--scope submit …]``: print a new API key alone on stdout."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from queue_app import clock
from queue_app.models import ApiKey, User
from queue_app.work import policy

DEFAULT_SCOPES = ("read", "submit")


class Command(BaseCommand):
    help = "Make an API key. It is printed once, alone on stdout; only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="a username")
        known = f"one of {', '.join(ApiKey.SCOPES)}; repeat for more (default: {' '.join(DEFAULT_SCOPES)})"
        parser.add_argument("--scope", action="append", dest="scopes", help=known)
        parser.add_argument("--name", default="", help="what it is for; shown in lists")

    def handle(self, *args: Any, **options: Any) -> None:
        """:raises CommandError: no such user, no such scope, or a name of more than 100 characters."""
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user “{options['user']}”.")
        scopes = list(dict.fromkeys(options["scopes"] or DEFAULT_SCOPES))
        if unknown := [scope for scope in scopes if scope not in ApiKey.SCOPES]:
            raise CommandError(f"There is no scope “{unknown[0]}”. Scopes: {', '.join(ApiKey.SCOPES)}.")
        if len(options["name"]) > 100:
            raise CommandError("A key's name has at most 100 characters.")
        with transaction.atomic():
            row, key = ApiKey.objects.create(user, scopes=scopes, name=options["name"])
            found = {"user": user.username, "name": options["name"], "scopes": scopes}
            policy.audit("add API key", str(row), at=clock.now(), actor=None, after=found, of=user)
        self.stdout.write(key)
