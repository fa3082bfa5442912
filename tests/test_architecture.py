"""The direction of imports and the rules of the source are enforced; each checker is also tested with planted breaches."""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import RULES, breaches

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("genqueue_site", "campaigns", "queue_app")
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text() for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
}
# rule: lines that break it, and similar lines that do not
PLANTED = {
    architecture.state_writes: (
        [
            "job.state = 'failed'",
            "job.state, job.held = 'queued', False",
            "Job.objects.filter(pk=1).update(held=False, state=to)",
            "Job.objects.filter(pk=1).update(**{'state': to})",
            "Job.objects.bulk_update(jobs, ['held', 'state'])",
            "Job.objects.update_or_create(pk=1, defaults={'state': to})",
            "Job(state=State.RUNNING)",
            "job.save(update_fields=['held', 'state'])",
            "setattr(job, 'state', 'failed')",
            "cursor.execute('UPDATE queue_app_job SET state = %s', [to])",
            "cursor.execute('UPDATE queue_app_job SET held = true')",
        ],
        [
            "Job.objects.filter(state=to).update(held=True)",
            "Reservation.objects.filter(pk=1).update(state=captured)",
            "self.state = 'reading'",
            "if job.state == to: print(job.state)",
            "cursor.execute('SELECT 1 FROM queue_app_job WHERE state = 1')",
            "data = {'state': job.state}",
        ],
    ),
    architecture.clock_reads: (
        [
            "at = datetime.now(UTC)",
            "at = datetime.datetime.utcnow()",
            "day = date.today()",
            "at = timezone.now()",
            "made_at = models.DateTimeField(default=timezone.now)",
            "made_at = models.DateTimeField(auto_now_add=True)",
            "day = timezone.localdate()",
            "stamp = time.time()",
            "from time import time",
            "from django.utils.timezone import now",
            "from django.db.models.functions import Now",
            "cursor.execute('SELECT now()')",
            "sql = 'WHERE due_at < CURRENT_TIMESTAMP'",
        ],
        [
            "at = clock.now()",
            "began = time.monotonic()",
            "local = timezone.localtime(at)",
            "time.sleep(1)",
            "text = 'It cannot be bought now (try later).'",
            "def f():\n    '''Not SQL's now().'''",
        ],
    ),
    architecture.markup: (
        [
            "from django.utils.safestring import mark_safe",
            "from django.utils.html import escape, format_html",
            "text = html.format_html('{}', name)",
            "page = f'<b>{name}</b>'",
        ],
        ["from django.utils.safestring import SafeString", "text = 'a < b and c > d'", "def f():\n    '''Gives <b>bold</b>.'''"],
    ),
    architecture.declared_safe: (["text = SafeString(name)", "text = mark_safe(f'{name}')"], ["text = SafeString('–')"]),
    architecture.swallowed_errors: (
        [
            "try:\n    f()\nexcept ValueError:\n    pass",
            "try:\n    f()\nexcept ValueError:\n    ...",
            "try:\n    f()\nexcept:\n    g()",
            "with suppress(Exception):\n    f()",
        ],
        ["try:\n    f()\nexcept ValueError:\n    g()", "with suppress(ValueError):\n    f()"],
    ),
    architecture.float_money: (
        [
            "price = float(job.usd_estimate)",
            "usd_total = models.FloatField()",
            "cost = Decimal(0.5)",
            "half = tickets * 0.5",
        ],
        ["cost = Decimal('0.5')", "seconds = models.FloatField()", "wait = float(seconds)", "half = tickets // 2"],
    ),
    architecture.unaudited_verbs: (
        [
            "policy.audit('cancel', str(job), at=at, actor=user)",
            "verdict = lifecycle.cancel([job.pk], at=at, actor='ana')[job.pk]",
            "intake.retry(jobs, at=at, actor='ana')",
        ],
        [
            "jobs.cancel(job, at=at, actor=user)",
            "batches.cancel(batch, at=at, actor=user)",
            "policy.change(row, at=at, actor=user)",
        ],
    ),
    architecture.asserted_users: (
        ["assert isinstance(request.user, User)", "assert isinstance(self.request.user, User), 'staff only'"],
        [
            "user = staff(request)",
            "if not isinstance(request.user, User):\n    raise PermissionDenied",
            "assert isinstance(row, User)",
        ],
    ),
    architecture.foreign_imports: (
        ["import django", "from queue_app import clock", "from queue_app.models import Job", "from ... import models"],
        ["import json", "from genqueue_site.studio.floor import Floor", "from . import floor", "from ..floor import Floor"],
    ),
}


def place_of(rule):
    """Return a module to which the rule applies."""
    where, _ = RULES[rule]
    return where.replace("*", "sample.py") if where != "*" else "campaigns/sample.py"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
class TestEachRule:
    def test_holds_in_the_whole_source(self, rule):
        found = [line for path, source in SOURCES.items() for line in breaches(rule, path, source)]

        assert found == [], "\n" + "\n".join(found)

    def test_sees_what_breaks_it(self, rule):
        for source in PLANTED[rule][0]:
            assert breaches(rule, place_of(rule), source), source

    def test_lets_pass_what_only_looks_like_it(self, rule):
        for source in PLANTED[rule][1]:
            assert breaches(rule, place_of(rule), source) == [], source


class TestTheSource:
    def test_is_all_looked_at(self):
        assert len(SOURCES) > 100
        assert {"queue_app/lifecycle.py", "campaigns/models/__init__.py", "genqueue_site/settings.py"} <= SOURCES.keys()

    def test_of_the_writers_themselves_would_be_seen(self):
        """`lifecycle` writes states and `clock` reads a clock: the same source elsewhere is refused."""
        assert breaches(architecture.state_writes, "queue_app/work/other.py", SOURCES["queue_app/lifecycle.py"])
        assert breaches(architecture.clock_reads, "queue_app/work/other.py", SOURCES["queue_app/clock.py"])

    def test_names_one_thing_by_one_class_name(self):
        """Within an app a class name leads to one class; Django itself prescribes the name of a command."""
        modules = defaultdict(set)
        for path, source in SOURCES.items():
            for name in re.findall(r"^class (\w+)", source, re.M):
                modules[path.partition("/")[0], name].add(path)

        repeated = {name: paths for (_, name), paths in modules.items() if len(paths) > 1}
        assert repeated.keys() - {"Command", "Migration"} == set(), repeated

    def test_of_templates_declares_nothing_safe(self):
        pages = [path for package in ("templates", *PACKAGES) for path in (ROOT / package).rglob("*.html")]
        unsafe = re.compile(r"\|\s*(safe|safeseq)\b|{%\s*autoescape\s+off")
        planted = ("{{ name|safe }}", "{{ name | safeseq }}", "{% autoescape off %}")

        assert all(unsafe.search(text) for text in planted)
        assert pages and [str(path) for path in pages if unsafe.search(path.read_text())] == []


class TestImports:
    def test_go_down_the_floors(self):
        """
        The contracts are in pyproject.toml; every module must be on a floor.

        Runs in its own process, because the checker configures logging and would silence the loggers of this one.
        """
        checker = Path(sys.executable).with_name("lint-imports")

        run = subprocess.run([checker, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

        assert run.returncode == 0, run.stdout + run.stderr
