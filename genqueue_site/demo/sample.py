"""What the demo puts into the queue: users with log-ins, tickets, and a batch of videos."""

import json
import secrets
from collections.abc import Iterator
from itertools import product

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db.models import Count, Q

from queue_app import clock, tickets
from queue_app.models import Batch, Job, State, User
from queue_app.models.job import OPEN_STATES
from queue_app.work import intake

MODEL = "sora-2"
SECONDS = 5
SPARE_TICKETS = 500  # for what people try themselves
RIGHTS = ("operate_queue", "force_fail_job", "move_tickets")
EDITED = ("modelconcurrencylimit", "queuesettings", "kind", "provideraccount", "modelroute", "generationmodel")

SCENES = (
    "A potter opens her kiln and lifts out a bowl the colour of the sea",
    "A courier on a cargo bike rolls across a bridge as the city wakes",
    "Two grandparents learn a dance step in their kitchen, laughing",
    "A red tram climbs a steep street between washing lines",
    "A barista draws a swan into the foam of the first coffee of the day",
    "A child and a dog race the tide along an empty beach",
    "A night market cook tosses noodles over a roaring flame",
    "A mountain hut at dawn, one window lit, snow falling slowly",
    "A violin maker planes a curl of spruce so thin that it glows",
    "A greenhouse full of lemon trees after the rain, bees returning",
    "An old printing press starts up and the first poster slides out",
    "A lighthouse keeper's cat watches the ships pass by",
)
WAYS = (
    "handheld, warm morning light",
    "slow dolly shot, golden hour",
    "macro details, soft focus",
    "aerial view, long shadows",
    "hand-drawn animation, bold outlines",
    "black and white, high contrast",
)


def prompts(count: int) -> Iterator[str]:
    """Give ``count`` prompts, each different from the others."""
    pairs = list(product(WAYS, SCENES))
    for number in range(count):
        way, scene = pairs[number % len(pairs)]
        take = number // len(pairs)
        yield f"{scene}. {way.capitalize()}." + (f" Take {take + 1}." if take else "")


def users() -> dict[str, tuple[str, str]]:
    """Make `admin`, `operator` and `demo` where they are missing; gives each one's password and what they may do."""
    file = settings.VAR / "demo-logins.json"
    passwords: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    roles = {"admin": "everything", "operator": "the queue in the admin", "demo": "own jobs; holds the tickets"}
    for name in roles:
        passwords.setdefault(name, secrets.token_urlsafe(9))
    file.touch(mode=0o600)
    file.write_text(json.dumps(passwords, indent=1))
    for name, password in passwords.items():
        staff = name in ("admin", "operator")
        user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": staff, "is_superuser": name == "admin"})
        if not user.check_password(password):
            user.set_password(password)
            user.save()
    operators, _ = Group.objects.get_or_create(name="Operators")
    theirs = Q(codename__in=[*RIGHTS, *(f"change_{model}" for model in EDITED)]) | Q(codename__startswith="view_")
    operators.permissions.add(*Permission.objects.filter(theirs, content_type__app_label__in=("queue_app", "campaigns")))
    User.objects.get(username="operator").groups.add(operators)
    return {name: (passwords[name], may) for name, may in roles.items()}


def submit(count: int) -> Batch:
    """
    Queue ``count`` different videos of `demo`'s as one batch, the tickets for it granted.

    :raises ModelNotAvailable: staff have paused or removed the model's routes.
    """
    at, owner = clock.now(), User.objects.get(username="demo")
    drafts = [intake.Draft(MODEL, prompt, parameters={"duration": SECONDS}) for prompt in prompts(count)]
    missing = (
        sum(job.tickets for job in intake.price(owner, drafts, at=at)) + SPARE_TICKETS - tickets.balances(owner)["available"]
    )
    if missing > 0:
        tickets.grant(owner, missing, at=at, actor="demo", reason="tickets for a first look")
    name = f"Sample of {at:%d %B %Y, %H:%M}"
    batch, _ = intake.enqueue(owner, drafts, at=at, actor="user:demo", batch_name=name)
    assert batch is not None
    return batch


def counts(batch: Batch) -> dict[str, int]:
    """How the batch stands: ``open``, ``completed``, ``waiting``, ``all``."""
    by_state: dict[str, int] = dict(Job.objects.filter(batch=batch).values_list("state").annotate(Count("id")))
    return {
        "all": sum(by_state.values()),
        "open": sum(by_state.get(state, 0) for state in OPEN_STATES),
        "waiting": by_state.get(State.QUEUED, 0),
        "completed": by_state.get(State.COMPLETED, 0),
    }
