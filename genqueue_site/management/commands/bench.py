import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

NAMES = ("handoff", "noop", "claim", "launch")
LONG = ("scale",)  # minutes, and gigabytes of disk: only when asked for by name


class Command(BaseCommand):
    help = "Run the benchmarks of benchmarks/README.md, each on an installation of its own; without a name, all but the long one."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="*", help=", ".join(NAMES + LONG))

    def handle(self, *args: Any, **options: Any) -> None:
        unknown = set(options["name"]) - {*NAMES, *LONG}
        if unknown:
            raise CommandError(f"There is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(NAMES + LONG)}.")
        env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        for name in options["name"] or NAMES:
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=settings.ROOT, env=env, check=True)
