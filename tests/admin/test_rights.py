"""
Who may do what in the admin: every role against every list, row, form, action and page that the admin site has.

What there is comes from the site itself: a model or an address that the tables below do not name fails a test.
"""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db.models import Model
from django.template.response import SimpleTemplateResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse

from campaigns.models import Brand, ComplianceRule, Dimension
from queue_app.models import (
    Alert,
    AlertRule,
    ApiKey,
    AuditEntry,
    BulkAction,
    InboundWebhook,
    Job,
    ModelRoute,
    OutboxMessage,
    ProviderAccount,
    ReviewItem,
    State,
    TicketBudget,
    User,
    WebhookEndpoint,
    WorkerProcess,
)
from queue_app.work import bulk, roles
from tests.campaigns.support import make_campaign
from tests.factories import NOON, BatchFactory, UserFactory, make_endpoint, make_job, make_schedule

pytestmark = pytest.mark.django_db
Verb = BulkAction.Verb
JSON = "application/json"
SITE = django_admin.site

NOBODY, EVERY_RIGHT, SUPERUSER = "staff without a right", "staff with every right", "superuser"
LOOKING = (roles.VIEWER, roles.OPERATOR, roles.FINANCE, roles.CATALOGUE, EVERY_RIGHT, SUPERUSER)
OPERATORS = (roles.OPERATOR, EVERY_RIGHT, SUPERUSER)
FINANCE = (roles.FINANCE, EVERY_RIGHT, SUPERUSER)
ROLES = (NOBODY, *LOOKING)

# Everybody but NOBODY sees every list and row. Beyond that, by model: Add, Change, Delete.
EDITED = {roles.CATALOGUE: "AC", EVERY_RIGHT: "AC", SUPERUSER: "AC"}
ONLY_CHANGED = {roles.CATALOGUE: "C", EVERY_RIGHT: "C", SUPERUSER: "C"}
DELETED = {**EDITED, EVERY_RIGHT: "ACD", SUPERUSER: "ACD"}
BUDGETS = dict.fromkeys((roles.OPERATOR, roles.FINANCE, EVERY_RIGHT, SUPERUSER), "ACD")
BEYOND_LOOKING: dict[str, dict[str, str]] = {
    "queue_app.generationmodel": EDITED,
    "queue_app.modelconcurrencylimit": {**EDITED, roles.OPERATOR: "C"},
    "queue_app.kind": EDITED,
    "queue_app.provideraccount": EDITED,
    "queue_app.modelroute": EDITED,
    "queue_app.queuesettings": ONLY_CHANGED,
    "queue_app.alertrule": ONLY_CHANGED,
    "campaigns.brand": DELETED,
    "campaigns.compliancerule": DELETED,
    "campaigns.dimension": DELETED,
    "queue_app.user": {EVERY_RIGHT: "AC", SUPERUSER: "AC"},
    "auth.group": {SUPERUSER: "ACD"},
    "queue_app.apikey": {EVERY_RIGHT: "CD", SUPERUSER: "CD"},
    "queue_app.ticketbudget": BUDGETS,
    # written by verbs alone
    "queue_app.job": {},
    "queue_app.batch": dict.fromkeys(OPERATORS, "C"),
    "queue_app.attempt": {},
    "queue_app.jobevent": {},
    "queue_app.reviewitem": {},
    "queue_app.bulkaction": {},
    "queue_app.alert": {},
    "queue_app.wallet": {},
    "queue_app.reservation": {},
    "queue_app.ledgertransaction": {},
    "queue_app.ledgerentry": {},
    "queue_app.auditentry": {},
    "queue_app.outboxmessage": {},
    "queue_app.workerprocess": {},
    "queue_app.inboundwebhook": {},
    "queue_app.webhookendpoint": {},
    "queue_app.schedule": {},
    "campaigns.campaign": {},
    "campaigns.combination": {},
}
OPERATED = {"cancel", "retry", "set_priority", "move_to_front", "clear_completed", "force_fail"}
GONE = {"delete_selected"}
ACTIONS: dict[str, dict[str, set[str]]] = {
    "queue_app.job": {
        roles.OPERATOR: OPERATED,
        roles.FINANCE: {"refund"},
        EVERY_RIGHT: OPERATED | {"refund"},
        SUPERUSER: OPERATED | {"refund"},
    },
    "queue_app.batch": {role: {"pause", "resume"} for role in OPERATORS},
    "queue_app.schedule": {role: {"pause", "resume"} for role in OPERATORS},
    "queue_app.reviewitem": {role: {"queue_again", "give_up"} for role in OPERATORS},
    "queue_app.ticketbudget": dict.fromkeys(BUDGETS, GONE),
    "campaigns.brand": dict.fromkeys((EVERY_RIGHT, SUPERUSER), GONE),
    "campaigns.compliancerule": dict.fromkeys((EVERY_RIGHT, SUPERUSER), GONE),
    "queue_app.apikey": {role: {"revoke_selected"} for role in (EVERY_RIGHT, SUPERUSER)},
    "auth.group": {SUPERUSER: GONE},
}


class Rows:
    """One row of each model of the admin, and what the pages are asked with."""

    def __init__(self) -> None:
        self.owner = UserFactory(username="carol")
        self.campaign = make_campaign(self.owner)
        self.job = make_job(State.UNKNOWN, owner=self.owner)
        done = make_job(State.COMPLETED, owner=self.owner)
        boss = UserFactory(admin=True, tickets=0)
        self.actions = {
            verb: bulk.draft(verb, [done.pk if verb == Verb.REFUND else self.job.pk], at=NOON, actor=boss, chosen="by hand")
            for verb in (Verb.CANCEL, Verb.REFUND, Verb.FORCE_FAIL)
        }
        Alert.objects.create(rule=AlertRule.objects.get(pk="unknown_jobs"), value=1, words="one", opened_at=NOON)
        AuditEntry.objects.create(at=NOON, actor=boss, actor_name="ana", action="set model limit", target="sora-2")
        OutboxMessage.objects.create(channel="alerts", key="alerts:1", created_at=NOON, due_at=NOON)
        InboundWebhook.objects.create(account_id="fal", event_id="1", type="request.ok", effect="unmatched", received_at=NOON)
        WorkerProcess.objects.create(
            host="mill", pid=1, role="worker", group_id=1, group_started="1", started_at=NOON, beat_at=NOON
        )
        ComplianceRule.objects.create(name="No miracles", pattern="miracle", reason="A promise.")
        Brand.objects.create(name="Unused")
        make_endpoint(self.owner)
        make_schedule(self.owner)
        ApiKey.objects.create(self.owner, scopes=["read"], name="till")
        TicketBudget.objects.create(user=self.owner, tickets=100, created_at=NOON)

    def of(self, model: type[Model]) -> Model:
        """A row that nothing but a missing right protects: no campaign was made with it, and it is nobody of the staff."""
        if model is User:
            return self.owner
        if model is ProviderAccount:
            return ProviderAccount.objects.get(pk="studio")
        if model is ModelRoute:
            return ModelRoute.objects.get(account="studio")
        if model is Brand:
            return Brand.objects.get(name="Unused")
        if model is Dimension:
            return Dimension.objects.exclude(key__in=self.campaign.dimensions).order_by("pk")[0]
        row = model._default_manager.order_by("pk").first()
        assert row is not None, f"Rows makes no {model._meta.label}: add one."
        return row


@pytest.fixture(autouse=True)
def seeded(db: None) -> None:
    """The groups, as an installation has them."""
    call_command("seed_catalogue", verbosity=0, stdout=StringIO())


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Callable[[str], tuple[User, Client]]:
    """Make a member of staff of a role."""

    def make(role: str) -> tuple[User, Client]:
        user = UserFactory(staff=True, admin=role == SUPERUSER, tickets=0)
        if role == EVERY_RIGHT:
            user.user_permissions.set(Permission.objects.all())
        elif role not in (NOBODY, SUPERUSER):
            user.groups.set([Group.objects.get(name=role)])
        return user, client_for(user)

    return make


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def registered() -> Iterator[tuple[type[Model], ModelAdmin[Any]]]:
    return iter(SITE._registry.items())


class TestLists:
    def test_every_model_of_the_admin_is_in_the_table(self) -> None:
        assert {model._meta.label_lower for model, _ in registered()} == BEYOND_LOOKING.keys()

    @pytest.mark.parametrize("role", ROLES)
    def test_are_seen_and_edited_by_their_role_alone(
        self, role: str, staff: Callable[[str], tuple[User, Client]], rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, client = staff(role)
        found, expected = {}, {}
        for model, _ in registered():
            pk = rows.of(model).pk
            asked = {"V": client.get(address(model, "change", pk))}
            with monkeypatch.context() as unread:  # of the others only the status is read: it is decided before they are rendered
                unread.setattr(SimpleTemplateResponse, "rendered_content", "")
                asked |= {
                    "L": client.get(address(model, "changelist")),
                    "H": client.get(address(model, "history", pk)),
                    "A": client.get(address(model, "add")),
                    "D": client.get(address(model, "delete", pk)),
                }
            assert all(answer.status_code in (200, 403) for answer in asked.values()), (model, asked)
            may = {letter for letter, answer in asked.items() if answer.status_code == 200}
            offered = b'name="_save"' in asked["V"].content
            found[model._meta.label_lower] = "".join(sorted(may | ({"C"} if offered else set())))
            beyond = BEYOND_LOOKING[model._meta.label_lower].get(role, "")
            expected[model._meta.label_lower] = "".join(sorted(beyond + ("" if role == NOBODY else "LVH")))
        assert found == expected

    @pytest.mark.parametrize("role", ROLES)
    def test_what_may_not_be_edited_stays_as_it_is_whatever_is_posted(
        self, role: str, staff: Callable[[str], tuple[User, Client]], rows: Rows
    ) -> None:
        _, client = staff(role)
        for model, _ in registered():
            may = BEYOND_LOOKING[model._meta.label_lower].get(role, "")
            row, every = rows.of(model), model._default_manager.order_by("pk")
            hostile = {"state": "completed", "available": "9", "reserved": "9", "amount": "9", "phase": "done", "_save": "Save"}
            before = list(every.values())
            for letter, page, args in (("C", "change", [row.pk]), ("A", "add", []), ("D", "delete", [row.pk])):
                if letter not in may:
                    client.post(address(model, page, *args), hostile | {"post": "yes"})
                    assert list(every.values()) == before, (model, page)

    @pytest.mark.parametrize("role", ROLES)
    def test_offer_their_actions_to_their_role_alone(self, role: str, staff: Callable[[str], tuple[User, Client]]) -> None:
        request = RequestFactory().get("/admin/")
        request.user = staff(role)[0]
        found = {model._meta.label_lower: set(one.get_actions(request)) for model, one in registered()}
        expected = {label: ACTIONS.get(label, {}).get(role, set()) for label in found}
        assert found == expected

    def test_an_action_that_is_not_offered_does_nothing(self, staff: Callable[[str], tuple[User, Client]], rows: Rows) -> None:
        _, client = staff(roles.VIEWER)
        for label, by_role in ACTIONS.items():
            model = next(model for model, _ in registered() if model._meta.label_lower == label)
            row, before = rows.of(model), list(model._default_manager.order_by("pk").values())
            drafts = BulkAction.objects.count()
            for action in by_role[SUPERUSER]:
                client.post(address(model, "changelist"), {"action": action, "_selected_action": [row.pk], "post": "yes"})
            assert list(model._default_manager.order_by("pk").values()) == before, label
            assert BulkAction.objects.count() == drafts


SORA = {"what": "model", "key": "sora-2", "value": "3"}


def none(rows: Rows) -> list[object]:
    return []


def step(verb: BulkAction.Verb) -> Callable[[Rows], list[object]]:
    return lambda rows: [rows.actions[verb].pk]


def item(rows: Rows) -> list[object]:
    return [ReviewItem.objects.get(job=rows.job).pk]


# page → how it is asked and who may, often in several ways; whoever may not gets 403
PAGES: dict[str, list[tuple[str, Callable[[Rows], list[object]], dict[str, str], tuple[str, ...]]]] = {
    "index": [("GET", none, {}, ROLES)],
    "sections": [("GET", none, {}, ROLES)],
    "usage": [("GET", none, {}, LOOKING), ("GET", none, {"format": "csv"}, LOOKING)],
    "drift": [("GET", none, {}, LOOKING)],
    "queue_app_auditentry_export": [("GET", none, {}, LOOKING)],
    "model_price": [("POST", none, {"try.model": "sora-2"}, LOOKING)],
    "peak_hours": [("POST", none, {"peak_hours": "22:00-02:00"}, LOOKING)],
    "limit": [("POST", none, SORA, OPERATORS)],
    "limit_forecast": [("GET", none, SORA, OPERATORS)],
    "pause": [("GET", none, SORA, OPERATORS), ("POST", none, SORA, OPERATORS)],
    "resume": [("POST", none, SORA, OPERATORS)],
    "end_cooldown": [("POST", none, {"what": "account", "key": "studio"}, OPERATORS)],
    "queue_app_provideraccount_test": [("POST", lambda rows: ["studio"], {}, (roles.CATALOGUE, EVERY_RIGHT, SUPERUSER))],
    "stop": [("GET", none, {}, OPERATORS), ("POST", none, {"word": "stop", "reason": "drill"}, OPERATORS)],
    "stop_undo": [("POST", none, {}, OPERATORS)],
    "pending": [("GET", none, {}, ROLES)],
    "stop_queue_again": [("POST", none, {}, OPERATORS)],
    "queue_app_job_bulk": [
        ("POST", none, {"verb": verb, "query": ""}, FINANCE if verb == Verb.REFUND else OPERATORS) for verb in Verb.values
    ],
    "queue_app_bulkaction_step": [
        ("POST", step(Verb.CANCEL), {"do": "confirm"}, OPERATORS),
        ("POST", step(Verb.FORCE_FAIL), {"do": "confirm", "reason": "drill"}, OPERATORS),
        ("POST", step(Verb.REFUND), {"do": "confirm", "reason": "drill"}, FINANCE),
    ],
    "queue_app_webhookendpoint_stop": [
        ("POST", lambda rows: [WebhookEndpoint.objects.get(owner=rows.owner).pk], {"reason": "drill"}, OPERATORS)
    ],
    "queue_app_wallet_grant": [("GET", none, {}, FINANCE), ("POST", none, {"user": "carol", "amount": "5"}, FINANCE)],
    "queue_app_reviewitem_decide": [
        ("POST", item, {"decision": decision}, OPERATORS) for decision in ("found", "again", "give_up", "close")
    ],
    "queue_app_reviewitem_settle": [
        ("POST", none, {"decision": decision, "items": "", "reason": "drill"}, OPERATORS)
        for decision in ("queue_again", "give_up")
    ],
    "auth_user_password_change": [("GET", lambda rows: [rows.owner.pk], {}, (EVERY_RIGHT, SUPERUSER))],
}
# Django's own, the same for all staff: they show nothing of the queue
DJANGOS = {"login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n", "view_on_site", "app_list"}


def names(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from names(one.url_patterns)
        elif one.name:
            yield one.name


class TestPages:
    def test_every_address_of_the_site_is_in_the_table(self) -> None:
        of_models = {
            f"{model._meta.app_label}_{model._meta.model_name}_{page}"
            for model, _ in registered()
            for page in ("changelist", "add", "history", "delete", "change")
        }
        assert set(names(SITE.get_urls())) - of_models - DJANGOS == PAGES.keys()

    @pytest.mark.parametrize("name", PAGES)
    def test_answers_those_who_may_and_refuses_the_others(
        self, name: str, staff: Callable[[str], tuple[User, Client]], rows: Rows
    ) -> None:
        clients = {role: staff(role)[1] for role in ROLES}
        for method, args, asked, may in PAGES[name]:
            url = reverse(f"admin:{name}", args=args(rows))
            answers = {role: getattr(client, method.lower())(url, asked) for role, client in clients.items()}
            allowed = tuple(role for role in ROLES if answers[role].status_code != 403)
            assert allowed == tuple(role for role in ROLES if role in may), (method, asked)
            assert all(answers[role].status_code < 400 for role in allowed), answers


class TestApi:
    @pytest.mark.parametrize("by_key", [True, False], ids=["key", "session"])
    @pytest.mark.parametrize("role", ROLES)
    def test_lets_the_same_roles_change_what_is_others(
        self, role: str, by_key: bool, staff: Callable[[str], tuple[User, Client]], api_for: Callable[..., Client], rows: Rows
    ) -> None:
        user, client = staff(role)
        if by_key:
            client = api_for(user, "read", "submit", "manage")
        cell = rows.campaign.combinations.order_by("pk")[0]
        own = make_job(owner=rows.owner, batch=BatchFactory(owner=rows.owner))
        for url in (f"jobs/{own.pk}/cancel/", f"batches/{own.batch_id}/pause/", f"campaigns/{rows.campaign.pk}/pause/"):
            status = client.post(f"/api/v1/{url}").status_code
            assert status == (200 if role in OPERATORS else 404), url
        judged = client.patch(f"/api/v1/combinations/{cell.pk}/", {"review": "approved"}, content_type=None if by_key else JSON)
        assert judged.status_code == (409 if role in OPERATORS else 404)  # there is nothing to judge yet
        edited = client.patch("/api/v1/models/sora-2/", {"max_concurrent": 3}, content_type=None if by_key else JSON)
        assert edited.status_code == (200 if "C" in BEYOND_LOOKING["queue_app.modelconcurrencylimit"].get(role, "") else 403)


class TestEverybodyElse:
    @pytest.fixture
    def addresses(self, rows: Rows) -> list[str]:
        of_models = [
            address(model, page, *([] if page in ("changelist", "add") else [rows.of(model).pk]))
            for model, _ in registered()
            for page in ("changelist", "add", "history", "delete", "change")
        ]
        return [*of_models, *(reverse(f"admin:{page}", args=ways[0][1](rows)) for page, ways in PAGES.items())]

    @pytest.mark.parametrize("who", ["an end user", "a stranger", "staff who left"])
    def test_is_sent_to_the_log_in(
        self, who: str, addresses: list[str], client: Client, client_for: Callable[[User], Client]
    ) -> None:
        if who == "an end user":
            client = client_for(UserFactory())
        elif who == "staff who left":
            client = client_for(UserFactory(admin=True, tickets=0, is_active=False))
        for url in addresses:
            for answer in (client.get(url), client.post(url, {"post": "yes"})):
                assert answer.status_code == 302 and answer.headers["Location"].startswith("/admin/login/"), url
        assert Job.objects.filter(state=State.UNKNOWN).exists()


class TestRawProviderData:
    @pytest.mark.parametrize("role", LOOKING)
    def test_is_for_operators(self, role: str, staff: Callable[[str], tuple[User, Client]], rows: Rows) -> None:
        user, _ = staff(role)
        assert user.has_perm("queue_app.view_provider_data") is (role in OPERATORS)
