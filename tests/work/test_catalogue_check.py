"""The catalogue against what providers list: found, gone, changed, new; and what is written once a person accepts it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from queue_app import clock
from queue_app.models import AuditEntry, GenerationModel, ModelRoute, ProviderAccount
from queue_app.work.capacity import usable_routes
from queue_app.work.catalogue import check
from queue_app.work.catalogue.check import RouteVerdict
from tests.factories import UserFactory
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.wire import Seen, WireServer, answer

pytestmark = pytest.mark.django_db
KEYS = {
    "FAL_KEY": "fal-12345678",
    "REPLICATE_API_TOKEN": "r8-12345678",
    "OPENROUTER_API_KEY": "or-12345678",
    "OPENAI_IMAGES_API_KEY": "oi-12345678",
    "CHAT_API_KEY": "ch-12345678",
}
KEYED = ("fal", "replicate", "openrouter", "openai_images", "chat")


def keyed(settings: Any, url: str) -> None:
    """Give the accounts keys, and have them send their jobs to this address."""
    ProviderAccount.objects.filter(pk__in=KEYED).update(base_url=url)
    settings.PROVIDER_KEYS, settings.TRUSTED_ORIGINS = KEYS, [url]


@pytest.fixture
def at_the_studio(studio: StudioProcess, settings: Any) -> None:
    keyed(settings, studio.url)


class Lists(WireServer):
    """Answers each path with what it was told; anything else is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, Any] = {}

    def reply_to(self, request: Seen) -> bytes:
        path = request.target.partition("?")[0]
        return answer(200, self.told[path]) if path in self.told else answer(404, {"detail": "Not found", "status": 404})


@pytest.fixture
def lists(settings: Any, db: None) -> Iterator[Lists]:
    with Lists() as server:
        keyed(settings, server.url)
        yield server


def account(key: str) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=key)


def run(*arguments: str) -> tuple[str, int]:
    """Run the command; return what it printed and its exit status."""
    out = io.StringIO()
    try:
        call_command("check_catalogue", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(str(end.code))
    return out.getvalue(), 0


class TestAtTheStudio:
    """It sells what the vendors list, with their schemas: every seeded route is judged by them."""

    def test_every_route_at_fal_is_listed_and_takes_what_we_send(self, at_the_studio: None) -> None:
        found = check.check(account("fal"))
        assert not found.problem
        assert {one.route.endpoint_id: one.words for one in found.findings if one.verdict is not RouteVerdict.LISTED} == {}
        assert len(found.findings) == ModelRoute.objects.filter(account="fal").count() > 20

    @pytest.mark.parametrize("key", ["replicate", "openrouter", "openai_images"])
    def test_active_routes_elsewhere_are_too(self, at_the_studio: None, key: str) -> None:
        found = check.check(account(key))
        odd = [one for one in found.findings if one.verdict is not RouteVerdict.LISTED and one.route.active]
        assert [(one.route.endpoint_id, one.words) for one in odd] == []
        assert any(one.verdict is RouteVerdict.LISTED for one in found.findings)


class TestWhatIsGone:
    def test_is_named_and_costs_nothing_to_find_out(self, lists: Lists) -> None:
        found = check.check(account("replicate"))
        assert {one.verdict for one in found.findings} == {RouteVerdict.MISSING}
        assert {seen.method for seen in lists.seen} == {"GET"}
        assert found.differs

    def test_may_be_the_endpoint_for_images_alone(self, lists: Lists) -> None:
        lists.told["/fal/v1/models"] = {"models": [{"endpoint_id": "fal-ai/nano-banana", "metadata": {"status": "active"}}]}
        (found,) = check.check(account("fal"), ["nano-banana"]).findings
        assert (found.verdict, found.words) == (RouteVerdict.MISSING, "not listed: fal-ai/nano-banana/edit")

    def test_is_not_believed_of_a_list_that_fails(self, lists: Lists) -> None:
        lists.told["/fal/v1/models"] = {"models": []}
        lists.says(answer(500, b"down"))
        lists.reply_to = lambda request: answer(500, b"down")  # type: ignore[method-assign]
        found = check.check(account("fal"))
        assert (found.findings, "HTTP 500" in found.problem) == ((), True)


def fal_lists(lists: Lists, *names: str, price: str = "0.039", **more: Any) -> None:
    rows = [{"endpoint_id": name, "metadata": {"status": "active"}} | more for name in names]
    lists.told["/fal/v1/models"] = {"models": rows}
    prices = [{"endpoint_id": name, "unit_price": float(price), "unit": "image", "currency": "USD"} for name in names]
    lists.told["/fal/v1/models/pricing"] = {"prices": prices}


BANANA = ("fal-ai/nano-banana", "fal-ai/nano-banana/edit")


class TestAListOfNames:
    """All that an OpenAI-style server tells of its models: no field and no price is compared."""

    @pytest.mark.parametrize(
        ("key", "model"), [("openai_images", "gpt-image-2"), ("chat", "text-writer"), ("chat", "page-writer")]
    )
    def test_is_enough_to_find_a_model(self, lists: Lists, key: str, model: str) -> None:
        lists.told["/v1/models"] = {"object": "list", "data": [{"id": "other"}, {"id": 7}, None, {"id": model}]}
        (found,) = check.check(account(key), [model]).findings
        assert (found.verdict, found.words, found.price) == (RouteVerdict.LISTED, "listed", "")
        assert [(seen.method, seen.target) for seen in lists.seen] == [("GET", "/v1/models")]

    @pytest.mark.parametrize("data", [[{"id": "other"}], [], None, "text-writer"])
    def test_that_lacks_it_means_that_it_is_gone(self, lists: Lists, data: Any) -> None:
        lists.told["/v1/models"] = {"object": "list", "data": data}
        (found,) = check.check(account("chat"), ["text-writer"]).findings
        assert (found.verdict, found.words) == (RouteVerdict.MISSING, "not listed: text-writer")


class TestWhatDiffers:
    def test_a_price(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA, price="0.05")
        (found,) = check.check(account("fal"), ["nano-banana"]).findings
        assert (found.verdict, found.price) == (RouteVerdict.LISTED, "listed at $0.05 per image, ours $0.039")

    def test_a_price_that_one_of_our_rates_has_is_none(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA, price="0.06")
        GenerationModel.objects.filter(pk="nano-banana").update(price={"rates": [{"when": {"resolution": "2K"}, "usd": "0.06"}]})
        (found,) = check.check(account("fal"), ["nano-banana"]).findings
        assert found.price == ""

    def test_a_deprecated_endpoint(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA, metadata={"status": "deprecated"})
        (found,) = check.check(account("fal"), ["nano-banana"]).findings
        assert found.verdict is RouteVerdict.DEPRECATED

    def test_a_field(self, lists: Lists) -> None:
        schema = {"components": {"schemas": {"Input": {"properties": {"prompt": {}, "seed": {}, "num_images": {}}}}}}
        fal_lists(lists, *BANANA, openapi=schema)
        (found,) = check.check(account("fal"), ["nano-banana"]).findings
        assert (found.verdict, found.words) == (RouteVerdict.CHANGED, "no field “aspect_ratio” for aspect_ratio")

    def test_models_that_are_new(self, lists: Lists) -> None:
        rows = [{"id": name} for name in ("minimax/hailuo-2.3", "acme/brand-new")]
        lists.told["/api/v1/videos/models"] = {"data": rows}
        found = check.check(account("openrouter"))
        assert list(found.others) == ["acme/brand-new"]


class TestAccepting:
    def test_what_was_found_can_be_used_from_then_on(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA)
        assert "nano-banana" not in usable_routes()
        said, status = run("--account", "fal", "--model", "nano-banana", "--accept", "--yes")
        assert (status, "1 route changed." in said) == (0, True)
        assert [route.endpoint_id for route in usable_routes()["nano-banana"]] == ["fal-ai/nano-banana"]
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor_name) == ("change model route", "genqueue")

    def test_what_is_gone_is_not_used_until_it_is_found_again(self, lists: Lists) -> None:
        route = ModelRoute.objects.get(account="fal", endpoint_id="fal-ai/nano-banana-pro")
        assert "nano-banana-pro" in usable_routes()
        lists.told["/fal/v1/models"] = {"models": []}
        assert run("--account", "fal", "--model", "nano-banana-pro", "--accept", "--yes")[1] == 1
        route.refresh_from_db()
        assert route.reason == f"Check of {clock.now():%Y-%m-%d}: not listed: fal-ai/nano-banana-pro, fal-ai/nano-banana-pro/edit"
        assert (route.active, route.needs_check, route.checked_at) == (True, True, None)
        assert "nano-banana-pro" not in usable_routes()
        fal_lists(lists, "fal-ai/nano-banana-pro", "fal-ai/nano-banana-pro/edit", price="0.15")
        run("--account", "fal", "--model", "nano-banana-pro", "--accept", "--yes")
        route.refresh_from_db()
        assert (route.reason, route.checked_at is not None) == ("", True)
        assert "nano-banana-pro" in usable_routes()

    def test_a_deprecated_one_is_kept_with_the_reason(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA, metadata={"status": "deprecated"})
        run("--account", "fal", "--model", "nano-banana", "--accept", "--yes")
        route = ModelRoute.objects.get(endpoint_id="fal-ai/nano-banana")
        assert route.checked_at is not None and "deprecated: fal-ai/nano-banana" in route.reason

    def test_keeps_a_reason_that_a_person_wrote(self, lists: Lists) -> None:
        ModelRoute.objects.filter(endpoint_id="fal-ai/nano-banana").update(reason="Cheap, but dark.")
        fal_lists(lists, *BANANA)
        run("--account", "fal", "--model", "nano-banana", "--accept", "--yes")
        assert ModelRoute.objects.get(endpoint_id="fal-ai/nano-banana").reason == "Cheap, but dark."

    def test_names_who_decided(self, lists: Lists) -> None:
        UserFactory(username="ana", admin=True)
        fal_lists(lists, *BANANA)
        run("--account", "fal", "--model", "nano-banana", "--accept", "--yes", "--user", "ana")
        assert AuditEntry.objects.get().actor_name == "ana"

    @pytest.mark.parametrize(("said", "changed"), [("y", True), ("n", False), ("", False), ("yes", True)])
    def test_asks_a_person(self, lists: Lists, monkeypatch: pytest.MonkeyPatch, said: str, changed: bool) -> None:
        monkeypatch.setattr("sys.stdin", Typed(said and f"{said}\n"))  # without a word: the end of the input
        fal_lists(lists, *BANANA)
        run("--account", "fal", "--model", "nano-banana", "--accept")
        assert (ModelRoute.objects.get(endpoint_id="fal-ai/nano-banana").checked_at is not None) == changed

    def test_without_a_terminal_needs_a_yes(self, lists: Lists) -> None:
        with pytest.raises(CommandError, match="--yes"):
            run("--account", "fal", "--accept")
        assert not AuditEntry.objects.exists() and not lists.seen

    def test_without_it_nothing_is_written(self, lists: Lists) -> None:
        before = list(ModelRoute.objects.values())
        run("--account", "fal")
        assert list(ModelRoute.objects.values()) == before


class Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


class TestTheCommand:
    def test_says_where_it_could_not_ask(self, db: None) -> None:
        said, status = run()
        assert status == 2
        assert "fal: not asked, FAL_KEY is not set, so its jobs go to the studio." in said
        assert "studio: not asked, it has no API key variable" in said

    def test_asks_the_accounts_with_a_key(self, lists: Lists) -> None:
        fal_lists(lists, *BANANA)
        said, status = run()
        assert status == 1
        assert [line.partition(":")[0] for line in said.splitlines() if "checked." in line] == ["fal", "replicate"]
        assert "openrouter: not asked, HTTP 404" in said
        assert "ok         nano-banana: fal-ai/nano-banana: listed." in said

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--account", "nobody"], "Unknown account nobody"),
            (["--accept", "--yes", "--user", "nobody"], "not an active staff user"),
        ],
    )
    def test_refuses_what_is_not_there(self, lists: Lists, arguments: list[str], words: str) -> None:
        with pytest.raises(CommandError, match=words):
            run(*arguments)

    def test_never_shows_a_key(self, lists: Lists) -> None:
        lists.reply_to = lambda request: answer(401, {"detail": f"Bad {request.headers['authorization']}"})  # type: ignore[method-assign]
        said, _ = run()
        assert not [key for key in KEYS.values() if key in said] and said.count("Bad ") == len(KEYS)
