"""``manage.py studio``: run the studio, which uses neither the database nor Django's settings."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genqueue_site.studio.server import CannotStart, add_arguments, run


class Command(BaseCommand):
    """Simulate the providers' APIs until SIGTERM or Ctrl-C."""

    help = "Simulate provider APIs on a local port and render real preview files."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --port, --host and --faults."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Run the studio on this thread.

        :raises CommandError: the studio can't start; the message names the setting.
        """
        try:
            run(host=options["host"], port=options["port"], fault_seed=options["faults"])
        except CannotStart as error:
            raise CommandError(f"The studio can't start: {error}") from error
