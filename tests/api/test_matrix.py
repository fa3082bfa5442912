"""Who gets in where: every method of every address of the API, taken from the URLs, for every kind of caller."""

import re
from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from rest_framework.test import APIClient

from queue_app import clock
from queue_app.models import ApiKey, OutboxMessage, Upload, User
from queue_app.work import bulk, endpoints
from tests.api.test_files import make_stored
from tests.api.test_strict import every_call
from tests.campaigns.support import make_campaign
from tests.factories import NOON, UserFactory, make_endpoint, make_job, make_schedule

CALLERS = ("nobody", "another user", "read key", "submit key", "session", "staff reader", "operator")
# what each caller gets, in this order; the keys and the session are those of the rows' owner, the others have every scope
OPEN = "200 200 200 200 200 200 200"
READ = "401 200 200 403 200 200 200"  # one's own rows, or what everybody may see
CREATE = "401 201 403 201 201 201 201"
READ_ROW = "401 404 200 403 200 200 200"
WRITE_ROW = "401 404 403 200 200 404 200"
OWN_ROW = "401 404 200 403 200 404 404"  # also staff reach their own keys only
CHANGE_OWN = "401 404 403 200 200 404 404"
DELETE_OWN = "401 404 403 204 204 404 404"
MANAGE = "401 404 403 403 200 404 404"
SET_LIMIT = "401 403 403 403 403 403 200"
FILE = "404 404 200 403 200 200 200"  # to strangers as if it were not there
SECRET = "404 404 404 404 404 404 404"  # for those who know the token, whoever they are
STREAM = "401 204 204 403 204 204 204"
REFUSED = "401 400 403 400 400 400 400"  # let in, without an image

V1 = "/api/v1/"
# route below /api/v1/ → method → what each caller gets
TABLE = {
    "batches/": {"get": READ},
    "batches/<int:pk>/": {"get": READ_ROW, "patch": WRITE_ROW},
    "batches/<int:pk>/cancel/": {"post": WRITE_ROW},
    "batches/<int:pk>/pause/": {"post": WRITE_ROW},
    "batches/<int:pk>/resume/": {"post": WRITE_ROW},
    "batches/<int:pk>/retry-failed/": {"post": WRITE_ROW},
    "brands/": {"get": READ},
    "bulk-actions/": {"get": READ, "post": CREATE},
    "bulk-actions/<int:pk>/": {"get": READ_ROW},
    "bulk-actions/<int:pk>/abort/": {"post": WRITE_ROW},
    "campaigns/": {"get": READ, "post": CREATE},
    "campaigns/<int:pk>/": {"get": READ_ROW, "patch": WRITE_ROW},
    "campaigns/<int:pk>/cancel/": {"post": WRITE_ROW},
    "campaigns/<int:pk>/combinations/": {"get": READ_ROW},
    "campaigns/<int:pk>/drop/": {"post": WRITE_ROW},
    "campaigns/<int:pk>/pause/": {"post": WRITE_ROW},
    "campaigns/<int:pk>/release/": {"post": WRITE_ROW},
    "campaigns/<int:pk>/resume/": {"post": WRITE_ROW},
    "campaigns/<int:pk>/retry-failed/": {"post": WRITE_ROW},
    "combinations/<int:pk>/": {"get": READ_ROW, "patch": WRITE_ROW},
    "dimensions/": {"get": READ},
    "jobs/": {"get": READ, "post": CREATE},
    "jobs/<int:pk>/": {"get": READ_ROW, "patch": WRITE_ROW},
    "jobs/<int:pk>/assets/": {"delete": WRITE_ROW},
    "jobs/<int:pk>/cancel/": {"post": WRITE_ROW},
    "jobs/<int:pk>/events/": {"get": READ_ROW},
    "jobs/<int:pk>/move/": {"post": WRITE_ROW},
    "jobs/<int:pk>/retry/": {"post": WRITE_ROW},
    "jobs/<int:pk>/status/": {"get": READ_ROW},
    "jobs/batch/": {"post": CREATE},
    "keys/": {"get": READ, "post": CREATE},
    "keys/<int:pk>/": {"get": OWN_ROW, "patch": CHANGE_OWN, "delete": DELETE_OWN},
    "kinds/": {"get": READ},
    "models/": {"get": READ},
    "models/<str:key>/": {"get": READ, "patch": SET_LIMIT},
    "queue/": {"get": READ},
    "queue/stream/": {"get": STREAM},
    "schedules/": {"get": READ, "post": CREATE},
    "schedules/<int:pk>/": {"get": OWN_ROW, "patch": CHANGE_OWN, "delete": DELETE_OWN},
    "schedules/<int:pk>/pause/": {"post": CHANGE_OWN},
    "schedules/<int:pk>/resume/": {"post": CHANGE_OWN},
    "uploads/": {"post": REFUSED},
    "uploads/<uuid:pk>/": {"get": READ_ROW},
    "usage/": {"get": READ},
    "wallet/": {"get": READ},
    "wallet/entries/": {"get": READ},
    "webhook-endpoints/": {"get": READ, "post": "401 201 403 403 201 201 201"},
    "webhook-endpoints/callback-secret/": {"get": "401 200 403 200 200 200 200"},  # who reads it can forge callbacks
    "webhook-endpoints/callback-secret/rotate-secret/": {"post": "401 200 403 403 200 200 200"},
    "webhook-endpoints/<int:pk>/": {"get": OWN_ROW, "patch": MANAGE, "delete": "401 404 403 403 204 404 404"},
    "webhook-endpoints/<int:pk>/deliveries/": {"get": OWN_ROW},
    "webhook-endpoints/<int:pk>/deliveries/<str:delivery>/replay/": {"post": MANAGE},
    "webhook-endpoints/<int:pk>/rotate-secret/": {"post": MANAGE},
    "webhook-endpoints/<int:pk>/test/": {"post": MANAGE},
}
ELSEWHERE = {
    "/api/docs/": {"get": OPEN},
    "/api/schema/": {"get": OPEN},
    "/files/<uuid:asset_id>/<str:name>": {"get": FILE},
    "/inputs/<str:token>/<str:name>": {"get": SECRET},
    "/uploads/<uuid:upload_id>/<str:name>": {"get": FILE},
}
EXPECTED = {
    (method, route): row
    for route, methods in {**{V1 + route: methods for route, methods in TABLE.items()}, **ELSEWHERE}.items()
    for method, row in methods.items()
}
JOB = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
BRIEF = {"brand": "Alder", "big_idea": "A parcel.", "dimensions": {"mood": ["calm"]}, "model": "sora-2", "duration": 4}
BODIES = {
    ("post", "jobs/"): JOB,
    ("post", "jobs/batch/"): {"jobs": [JOB]},
    ("patch", "jobs/<int:pk>/"): {"priority": -10},
    ("post", "jobs/<int:pk>/move/"): {"to": "first"},
    ("post", "campaigns/"): BRIEF,
    ("post", "bulk-actions/"): {"action": "cancel", "filter": {}},
    ("patch", "batches/<int:pk>/"): {"priority": -10},
    ("patch", "campaigns/<int:pk>/"): {"max_concurrent": 2},
    ("post", "campaigns/<int:pk>/drop/"): {"all": True},
    ("post", "campaigns/<int:pk>/release/"): {"all": True},
    ("patch", "combinations/<int:pk>/"): {"note": "Too dark."},
    ("post", "keys/"): {"scopes": ["submit"]},
    ("patch", "keys/<int:pk>/"): {"name": "CI"},
    ("post", "schedules/"): {"name": "Daily", "cron": "0 9 * * *", "job": JOB},
    ("patch", "schedules/<int:pk>/"): {"name": "Weekly"},
    ("post", "webhook-endpoints/"): {"url": "https://example.com/hooks", "events": ["job.completed"]},
    ("patch", "webhook-endpoints/<int:pk>/"): {"description": "Ours"},
    ("patch", "models/<str:key>/"): {"max_concurrent": 2},
}


def callers(owner: User) -> dict[str, APIClient]:
    every, reader = ("read", "submit", "manage"), UserFactory(staff=True)
    operator = UserFactory(staff=True, rights=["operate_queue", "change_modelconcurrencylimit"])
    stranger = UserFactory()
    for user in (stranger, reader, operator):
        make_job(owner=user)  # so that a bulk action of theirs finds one
    session = APIClient()
    session.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    keys = [(stranger, every), (owner, ["read"]), (owner, ["submit"]), (reader, every), (operator, every)]
    other, read, submit, read_all, operate = (with_key(user, *scopes) for user, scopes in keys)
    return dict(zip(CALLERS, (APIClient(), other, read, submit, session, read_all, operate), strict=True))


def with_key(user: User, *scopes: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiKey.objects.create(user, scopes=list(scopes))[1]}")
    return client


def addresses(owner: User) -> Callable[[str], str]:
    """Make one row of each kind, and return the address of a route for them."""
    campaign, asset = make_campaign(owner), make_stored(owner, b"a video")
    queued, failed = make_job(owner=owner).pk, make_job("failed", owner=owner).pk
    upload = Upload.objects.create(owner=owner, name="uploads/a.png", size=7, width=1, height=1, created_at=NOON)
    default_storage.save(upload.name, ContentFile(b"a still"))
    verb = bulk.draft("cancel", [queued], at=clock.now(), actor=owner, chosen="by hand", own=True)
    bulk.confirm(verb, at=clock.now(), actor=owner)
    jobs = {"retry": failed, "assets": make_job("completed", owner=owner).pk}
    endpoint = make_endpoint(owner)
    told = endpoints.ping(endpoint, at=NOON)
    OutboxMessage.objects.filter(pk=told.pk).update(delivered_at=NOON)
    rows = {
        "batches": campaign.pk,
        "bulk-actions": verb.pk,
        "campaigns": campaign.pk,
        "combinations": campaign.combinations.first().pk,
        "keys": ApiKey.objects.create(owner, scopes=["submit"])[0].pk,
        "schedules": make_schedule(owner).pk,
        "uploads": upload.pk,
        "webhook-endpoints": endpoint.pk,
    }
    known = {"key": "sora-2", "asset_id": asset.pk, "upload_id": upload.pk, "token": "unknown", "delivery": f"msg_{told.pk}"}

    def of(route: str) -> str:
        kind, verb = (route.split("/") + [""] * 6)[3:6:2]
        names = {"pk": jobs.get(verb, queued) if kind == "jobs" else rows.get(kind)}
        names["name"] = asset.name.rpartition("/")[2] if route.startswith("/files/") else "a.png"
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str({**known, **names}[found[1]]), route)

    return of


@pytest.mark.django_db
def test_each_caller_gets_in_where_the_table_says_and_nowhere_else(settings, tmp_path):
    """An address that is not in the table fails: decide who may use it, and add its row."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    owner = UserFactory()
    clients, address_of = callers(owner), addresses(owner)
    found = {}
    for method, route in every_call():
        body = BODIES.get((method, route.removeprefix(V1)))
        statuses = [status_of(clients[caller], method, address_of(route), body) for caller in CALLERS]
        found[method, route] = " ".join(map(str, statuses))

    differ = [call for call in sorted({*found, *EXPECTED}) if found.get(call) != EXPECTED.get(call)]
    assert [(*call, found.get(call), EXPECTED.get(call)) for call in differ] == []


def status_of(client: APIClient, method: str, address: str, body: object) -> int:
    """Return the status of the answer. What the call did is taken back."""
    with transaction.atomic():
        answer = getattr(client, method)(address, body)
        assert answer.status_code != 201 or client.get(answer["Location"]).status_code in (200, 403)
        transaction.set_rollback(True)
    return int(answer.status_code)
