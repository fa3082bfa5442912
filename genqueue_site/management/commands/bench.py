import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from benchmarks import results

NAMES = ("handoff", "noop", "claim", "launch", "slots", "polling", "long_calls", "waits", "waiting", "webhooks")
LONG = (
    "day",
    "scale",
    "pressure",
    "pages",
    "page_kills",
)  # take minutes or up to an hour or gigabytes of disk, so they run only by name


class Command(BaseCommand):
    help = "Run the benchmarks in benchmarks/README.md, each on its own installation. Without a name: all except the long ones."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="*", help=", ".join(NAMES + LONG))
        parser.add_argument("--runs", type=int, default=1, help="runs of each benchmark; prints the medians")
        parser.add_argument("--keep", action="store_true", help="save the results in benchmarks/results and draw charts")

    def handle(self, *args: Any, **options: Any) -> None:
        unknown = set(options["name"]) - {*NAMES, *LONG}
        if unknown:
            raise CommandError(f"Unknown benchmark: {', '.join(sorted(unknown))}. Available: {', '.join(NAMES + LONG)}.")
        if options["runs"] < 1:
            raise CommandError("--runs must be 1 or more.")
        for name in options["name"] or NAMES:
            self._run(name, options["runs"], keep=options["keep"])

    def _run(self, name: str, runs: int, *, keep: bool) -> None:
        env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        runs_figures = []
        with TemporaryDirectory(prefix="gq-figures-") as folder:
            for number in range(runs):
                path = Path(folder) / str(number)
                path.touch()
                command = [sys.executable, "-m", f"benchmarks.{name}"]
                subprocess.run(command, cwd=settings.ROOT, env={**env, results.FIGURES: str(path)}, check=True)
                runs_figures.append(results.read(path))
        figures = results.medians(runs_figures)
        if keep:
            results.keep(name, figures, runs=runs)
        if runs > 1:
            self.stdout.write(f"{name}, medians of {runs} runs:")
            for figure in figures:
                shown = {key: figure[key] for key in ("most", "least", "unit") if key in figure}
                self.stdout.write(results.line(figure["words"], figure["value"], **shown))
