"""The demo's sample data: users with passwords, tickets and a campaign."""

import json
import secrets
from dataclasses import replace
from math import ceil
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Count

from campaigns import launch, plan
from campaigns.models import Dimension
from campaigns.rules import matrix
from queue_app import clock, tickets
from queue_app.models import Batch, Job, State, User
from queue_app.models.job import OPEN_STATES
from queue_app.work import roles

MODEL = "sora-2"
SECONDS = 5
PEOPLE = {"demo": "creative with tickets", "operator": "queue operator", "admin": "full access"}
# enough for people to try a campaign of 127 videos of the longest duration of sora-2 (20 s at one ticket per second)
SPARE_TICKETS = 127 * 20

BRIEF = plan.Brief(
    brand="Maison Alder",
    product_category="Home fragrance",
    big_idea="A scent is a small holiday: the parcel opens and the room changes season",
    visual_messaging="Hands, paper, oak, window light; dust as gold",
    model=MODEL,
    duration=SECONDS,
)
AXES = ("aesthetic", "mood", "type", "intention")  # dimensions, used in this order until there are enough combinations


def brief(count: int, name: str) -> plan.Brief:
    """
    Return the brief of a campaign with exactly ``count`` combinations: the first ones of a matrix that is just large enough.

    :raises ValueError: the available dimensions have fewer combinations.
    """
    chosen: dict[str, list[str]] = {}
    choices: list[matrix.Choice] = []
    dimensions = {one.key: one for one in Dimension.objects.offered()}
    for dimension in (dimensions[key] for key in AXES if key in dimensions):
        offered = dimension.values.filter(retired=False).order_by("position", "id")
        values = [(value.key, value.label) for value in offered]
        values = values[: _share(ceil(count / max(matrix.count(choices), 1)), len(values))]
        if len(values) > 1 or not choices:
            chosen[dimension.key] = [key for key, _ in values]
            choices.append(matrix.Choice(dimension.key, dimension.label, tuple(values)))
    cells = matrix.cells(choices)
    if len(cells) < count:
        raise ValueError(f"Only {len(cells)} combinations are possible. Use --jobs {len(cells)} or less.")
    left_out = matrix.compact(choices, {cell.key for cell in cells[count:]})
    return replace(BRIEF, name=name, dimensions=chosen, exclude=left_out)


def _share(wanted: int, most: int) -> int:
    """Return how many of ``most`` values to use: the largest divisor of ``wanted``, which excludes nothing, else all needed."""
    divisors = [size for size in range(2, most + 1) if wanted % size == 0]
    return divisors[-1] if divisors else min(wanted, most)


def logins_file() -> Path:
    """Return the path of the sample users' passwords. The file exists only after a demo has run."""
    return Path(settings.VAR) / "demo-logins.json"


def users() -> dict[str, tuple[str, str]]:
    """Create `admin`, `operator` and `demo` if missing; return password and description by name."""
    file = logins_file()
    passwords: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    for name in PEOPLE:
        passwords.setdefault(name, secrets.token_urlsafe(9))
    file.touch(mode=0o600)
    file.write_text(json.dumps(passwords, indent=1))
    for name, password in passwords.items():
        staff = name in ("admin", "operator")
        user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": staff, "is_superuser": name == "admin"})
        if not user.check_password(password):
            user.set_password(password)
            user.save()
    User.objects.get(username="operator").groups.add(Group.objects.get(name=roles.OPERATOR))
    return {name: (passwords[name], may) for name, may in PEOPLE.items()}


def submit(count: int) -> Batch:
    """
    Launch a campaign of ``count`` different videos for the user `demo`, and grant missing tickets first. Return its batch.

    :raises ModelNotAvailable: staff have disabled or removed the model's routes.
    """
    at, owner = clock.now(), User.objects.get(username="demo")
    planned = plan.make(brief(count, f"Sample of {at:%d %B %Y, %H:%M}"), owner)
    missing = planned.tickets + SPARE_TICKETS - tickets.balances(owner)["available"]
    if missing > 0:
        tickets.grant(owner, missing, at=at, actor="demo", reason="demo tickets")
    return launch.launch(planned, owner=owner, at=at, actor="user:demo").batch


def counts(batch: Batch) -> dict[str, int]:
    """Return the numbers of the batch's jobs: ``all``, ``open`` (unfinished), ``waiting`` and ``completed``."""
    by_state: dict[str, int] = dict(Job.objects.filter(batch=batch).values_list("state").annotate(Count("id")))
    return {
        "all": sum(by_state.values()),
        "open": sum(by_state.get(state, 0) for state in OPEN_STATES),
        "waiting": by_state.get(State.QUEUED, 0),
        "completed": by_state.get(State.COMPLETED, 0),
    }
