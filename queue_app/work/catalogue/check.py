"""
Check of the catalogue against what providers list for free: which endpoints are gone or new, which fields or prices differ.

Nothing is written until a person has accepted a finding (`accept`). Then a route that was found can be used, and one that is gone
is not used with an API key until a later check finds it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from queue_app.models import ModelRoute, ProviderAccount, User
from queue_app.providers import registry
from queue_app.providers.base import ProviderError
from queue_app.providers.listing import Listable, ListedEndpoint, Listing
from queue_app.rules import codec_schema
from queue_app.work import accounts, policy

# names that providers give to the units of our prices; the other units have none
UNITS = {
    "second": {"second", "seconds", "video_second", "duration_seconds"},
    "image": {"image", "images", "unit"},
}
ROUNDING = Decimal("0.000001")  # USD; a smaller difference is none
_MARK = "Check of "  # at the beginning of a reason that a check wrote


class RouteVerdict(StrEnum):
    """What the provider's list says of a route."""

    LISTED = "listed"
    CHANGED = "changed"  # listed, but it no longer takes what we send
    DEPRECATED = "deprecated"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """What was found out about one route; ``words`` say it, ``price`` says how its base price differs."""

    route: ModelRoute
    verdict: RouteVerdict
    words: str
    price: str = ""


@dataclass(frozen=True)
class CatalogueReport:
    """What a provider lists for one account. ``problem`` is why it could not be asked, in words; then nothing else is known."""

    account: ProviderAccount
    findings: Sequence[Finding] = ()
    others: Sequence[str] = field(default_factory=tuple)
    problem: str = ""

    @property
    def differs(self) -> bool:
        return any(one.verdict is not RouteVerdict.LISTED or one.price for one in self.findings)


def check(account: ProviderAccount, models: Iterable[str] | None = None) -> CatalogueReport:
    """
    Ask an account's provider for its routes; one or a few free calls, outside any transaction (I32).

    :param models: only routes of these models.
    """
    if not registry.is_available(account.adapter):
        return CatalogueReport(account, problem=f"no adapter {account.adapter}")
    if account.is_preview:
        wants = f"{account.api_key_env} is not set" if account.api_key_env else "it has no API key variable"
        return CatalogueReport(account, problem=f"{wants}, so its jobs go to the studio")
    routes = list(ModelRoute.objects.filter(account=account).select_related("model", "account"))
    routes.sort(key=lambda route: (route.model_id, route.position, route.pk))
    wanted = [route for route in routes if models is None or route.model_id in set(models)]
    provider = registry.get(accounts.present_config(account))
    if not isinstance(provider, Listable):
        return CatalogueReport(account, problem="its provider has no list of endpoints that we know how to ask")
    asked = {name for route in wanted for name in codec_schema.endpoints_of(route.endpoint_id, route.codec)}
    try:
        listing = provider.catalogue(asked)
    except ProviderError as error:
        return CatalogueReport(account, problem=error.message)
    ours = {name for route in routes for name in codec_schema.endpoints_of(route.endpoint_id, route.codec)}
    others = [name for name in listing.others if name not in ours] if models is None else []
    return CatalogueReport(account, [_finding(route, listing) for route in wanted], others)


def accept(finding: Finding, *, at: datetime, actor: User | None) -> bool:
    """
    Write a finding down, as a person has decided. Return whether that changed the route.

    A listed route is marked as checked. A deprecated one, too, with a reason. One that is missing or has changed is not used with
    an API key until a later check has found it.
    """
    route, words = finding.route, f"{_MARK}{at:%Y-%m-%d}: {finding.words}"[:300]
    values: dict[str, Any]
    if finding.verdict is RouteVerdict.LISTED:
        values = {"checked_at": at} | ({"reason": ""} if route.reason.startswith(_MARK) else {})  # a person's reason stays
    elif finding.verdict is RouteVerdict.DEPRECATED:
        values = {"checked_at": at, "reason": words}
    else:
        values = {"checked_at": None, "needs_check": True, "reason": words}
    reason = f"Checked the provider's list: {finding.words}"[:300]
    return policy.save(route, values, at=at, actor=actor, reason=reason)


def _finding(route: ModelRoute, listing: Listing) -> Finding:
    names = codec_schema.endpoints_of(route.endpoint_id, route.codec)
    missing = [name for name in names if name not in listing.found]
    if missing:
        return Finding(route, RouteVerdict.MISSING, f"not listed: {', '.join(missing)}")
    found = listing.found[route.endpoint_id]
    price = _price(route, found)
    deprecated = [name for name in names if listing.found[name].deprecated]
    if deprecated:
        return Finding(route, RouteVerdict.DEPRECATED, f"deprecated: {', '.join(deprecated)}", price)
    changed = codec_schema.differences(route.codec, found.fields) if found.fields is not None else []
    if changed:
        return Finding(route, RouteVerdict.CHANGED, "; ".join(changed), price)
    return Finding(route, RouteVerdict.LISTED, "listed" if found.fields is None else "listed, takes all we send", price)


def _price(route: ModelRoute, found: ListedEndpoint) -> str:
    """Return how the listed price of one unit differs from ours; empty if it does not, has another unit, or is not sold."""
    model = route.model
    if not route.active:
        return ""
    listed = next((found.prices[name] for name in found.prices if name in UNITS.get(model.unit, ())), None)
    if listed is None or abs(listed - model.usd_per_unit) < ROUNDING or not listed:
        return ""
    ours = [model.usd_per_unit, *(Decimal(rate["usd"]) for rate in model.price.get("rates", ()) if "usd" in rate)]
    if any(abs(listed - one) < ROUNDING for one in ours):
        return ""
    return f"listed at ${_plain(listed)} per {model.unit}, ours ${_plain(model.usd_per_unit)}"


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
