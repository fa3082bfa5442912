"""Every model of the catalogue, bought at the studio by the quick form and by the API on an installation of real processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings
from django.test import Client

from queue_app import clock, tickets
from queue_app.models import ApiKey, Job, ModelConcurrencyLimit, ProviderAccount, User
from queue_app.models.catalog import Medium
from queue_app.models.job import OPEN_STATES
from queue_app.work.catalogue import MODELS
from tests import images
from tests.conftest import Figures
from tests.processes import Site, wait_for
from tests.results import assert_opens

pytestmark = pytest.mark.processes
ACTIVE = [seed for seed in MODELS if any(route.active for route in seed.routes)]
OFFERED = [seed.key for seed in ACTIVE if seed.medium != Medium.PAGE]  # pages have data, a form and several calls of their own
RETIRED = [seed.key for seed in MODELS if seed not in ACTIVE]
WAYS = ("form", "api")
# of what a form offers
PICKS: Mapping[str, Callable[[list[str]], str]] = {
    "duration": lambda values: min(values, key=int),
    "aspect_ratio": lambda values: values[-1],
}
Bought = Mapping[tuple[str, str], "Purchase"]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Purchase:
    """A job that was submitted in one of the ``WAYS``, with the price that was shown before."""

    job: int
    tickets: int
    prompt: str


@dataclass
class Customer:
    """A user of a site, with a session for the pages and a key for the API."""

    site: Site
    pages: requests.Session = field(default_factory=requests.Session)
    api: requests.Session = field(default_factory=requests.Session)
    csrf_token: str = ""
    image: str = ""

    def enter(self) -> None:
        """Register with 2,000 tickets and an image of 16:9."""
        with self.site.orm():
            user = User.objects.create_user("ana")
            tickets.grant(user, 2_000, at=clock.now(), actor="tests", reason="to spend")
            _, key = ApiKey.objects.create(user, scopes=["read", "submit"])
            browser = Client()
            browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        self.pages.cookies.set(settings.SESSION_COOKIE_NAME, browser.cookies[settings.SESSION_COOKIE_NAME].value)
        self.csrf_token = first(r'name="csrfmiddlewaretoken" value="(\w+)"', self.looked("/"))
        self.api.headers["Authorization"] = f"Bearer {key}"
        self.image = self.called("POST", "uploads/", files={"file": ("a.png", images.picture(size=(320, 180)))})["id"]

    def looked(self, path: str, **query: str) -> str:
        """Return a page."""
        answer = self.pages.get(self.site.url + path, params=query, timeout=30)
        assert answer.ok, answer.text
        return answer.text

    def called(self, method: str, path: str, **options: Any) -> Facts:
        """Return an answer of the API."""
        answer = self.api.request(method, f"{self.site.url}/api/v1/{path}", timeout=30, **options)
        assert answer.ok, answer.text
        return dict(answer.json())

    def models(self) -> dict[str, Facts]:
        return {row["key"]: row for row in self.called("GET", "models/")["results"]}

    def buys_by_form(self, model: str) -> Purchase:
        """Choose the shortest duration and the last ratio that the form offers, and press its button."""
        offered = options_in(self.looked("/quick/choices/", model=model))
        chosen = {name: pick(offered[name]) for name, pick in PICKS.items() if name in offered}
        html = self.looked("/quick/choices/", model=model, **chosen)
        price, prompt = int(first(r"Generate for (\d+) ticket", html)), f"A kite over the bay, by form and {model}."
        sent = {"csrfmiddlewaretoken": self.csrf_token, "key": model, "model": model, "prompt": prompt, "price": price, **chosen}
        answer = self.pages.post(f"{self.site.url}/quick/", sent, timeout=30, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return Purchase(int(first(r"/jobs/(\d+)/$", answer.headers["Location"])), price, prompt)

    def buys_by_api(self, model: str, offered: Facts) -> Purchase:
        """Ask for the shortest duration, with an image to start from where the model takes one."""
        parameters: Facts = {"duration": min(offered["duration"]["values"])} if "duration" in offered else {}
        if roles := offered.get("images", {}).get("roles"):
            parameters["images"] = {"first_frame": self.image} if "first_frame" in roles else {"references": [self.image]}
        prompt = f"A kite over the bay, by API and {model}."
        order = {"model": model, "prompt": prompt, "parameters": parameters}
        price = self.called("POST", "jobs/?dry_run=true", json=order)["cost"]["tickets"]
        return Purchase(self.called("POST", "jobs/", json=order)["id"], price, prompt)

    def result_of(self, way: str, job: Facts) -> tuple[str, bytes]:
        """Return type and content of a job's result, as its page or as the API leads to it."""
        url = urlsplit(job["result_url"]).path
        assert way == "api" or url in self.looked(f"/jobs/{job['id']}/")
        answer = (self.pages if way == "form" else self.api).get(self.site.url + url, timeout=30)
        assert answer.ok, answer.text
        (result,) = [one for one in job["assets"] if one["url"] == job["result_url"]]
        assert (result["kind"], result["size"]) == (job["kind"], len(answer.content))
        return result["content_type"], answer.content


def first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"no {pattern} in {text}"
    return found[1]


def options_in(html: str) -> dict[str, list[str]]:
    """Return the values that each list of a form offers."""
    lists = re.findall(r'<select[^>]*?\sname="(\w+)"(.*?)</select>', html, re.DOTALL)
    return {name: re.findall(r'<option value="([^"]*)"', inner) for name, inner in lists}


@pytest.fixture(scope="module")
def site(django_db_blocker: Any) -> Iterator[Site]:
    made = Site(STUDIO_SECONDS_PER_JOB="0.2", WORKERS="3", LONG_WORKERS="2", SECRET_KEY=settings.SECRET_KEY)
    with django_db_blocker.unblock(), closing(made) as site:
        site.prepare()
        site.start_studio(seconds_per_job=0.2)
        yield site


@pytest.fixture(scope="module")
def customer(site: Site) -> Customer:
    site.start_web()
    customer = Customer(site)
    customer.enter()
    return customer


@pytest.fixture(scope="module")
def bought(site: Site, customer: Customer) -> Bought:
    """All models, bought in both ways. No job is open any more."""
    site.start_worker(PUBLIC_URL=site.url)
    offered = customer.models()
    by_form = {("form", model): customer.buys_by_form(model) for model in OFFERED}
    by_api = {("api", model): customer.buys_by_api(model, offered[model]["parameters"]) for model in OFFERED}
    wait_for(lambda: all_ended(site), seconds=300, of="the end of all jobs")
    return by_form | by_api


def all_ended(site: Site) -> bool:
    with site.orm():
        return not Job.objects.filter(state__in=OPEN_STATES).exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", OFFERED)
def test_a_result_opens_and_costs_what_was_shown(customer: Customer, bought: Bought, model: str, way: str) -> None:
    purchase = bought[way, model]
    job = customer.called("GET", f"jobs/{purchase.job}/")
    assert (job["status"], job["model"], job["prompt"], job["error"]) == ("completed", model, purchase.prompt, None)
    assert job["tickets"] == {"reserved": 0, "captured": purchase.tickets, "refunded": 0}
    assert_opens(*customer.result_of(way, job), job["parameters"])


def test_the_wallet_paid_the_sum_of_what_was_shown(site: Site, customer: Customer, bought: Bought) -> None:
    wallet = customer.called("GET", "wallet/")
    paid = sum(purchase.tickets for purchase in bought.values())
    assert (wallet["available"], wallet["reserved"], wallet["captured"]) == (2_000 - paid, 0, paid)
    site.manage("check_invariants")


def test_the_studio_saw_each_job_once_and_never_more_than_a_limit_at_a_time(site: Site, bought: Bought, figures: Figures) -> None:
    assert site.studio is not None
    rows = {row["prompt"]: (row["at"], row["ended"]) for row in site.studio.log()["creates"] if row["accepted"]}
    assert set(rows) == {purchase.prompt for purchase in bought.values()}
    assert len(rows) == len(site.studio.log()["creates"])
    with site.orm():
        made = Job.objects.values_list("prompt", "model", "attempts__account")
        of_models, of_accounts = ({job[0]: job[place] for job in made} for place in (1, 2))
        models = dict(ModelConcurrencyLimit.objects.values_list("model", "max_concurrent"))
        accounts = dict(ProviderAccount.objects.exclude(max_concurrent=None).values_list("key", "max_concurrent"))
    peaks = {}
    for group, limits in ((of_models, models), (of_accounts, accounts)):
        for name, limit in limits.items():
            peaks[name] = most_at_once(span for prompt, span in rows.items() if group[prompt] == name)
            assert peaks[name] <= limit, name
    assert peaks["fal"] == accounts["fal"], "its limit was reached"
    figures(f"{len(rows)} jobs of {len(OFFERED)} models; most at once: {site.studio.log()['peak']}")


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """Return how many of these spans overlap at most."""
    known = list(spans)
    return max((sum(began <= at < ended for began, ended in known) for at, _ in known), default=0)


@pytest.mark.parametrize("model", RETIRED)
def test_a_retired_model_is_listed_as_such_and_cannot_be_bought(customer: Customer, model: str) -> None:
    assert {key for key, row in customer.models().items() if not row["available"]} == {*RETIRED}
    assert not any(model in options_in(customer.looked("/quick/choices/", kind=kind))["model"] for kind in ("video", "image"))
    answer = customer.api.post(f"{customer.site.url}/api/v1/jobs/", json={"model": model, "prompt": "A kite."}, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")
