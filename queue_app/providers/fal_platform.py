"""What fal's platform API tells for free: the account and its credit, and the endpoints with their schemas and base prices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from queue_app.providers import calls
from queue_app.providers.base import ErrorKind, ProviderError
from queue_app.providers.calls import Caller
from queue_app.providers.listing import ListedEndpoint, Listing, properties_of, usd

AT_ONCE = 20  # endpoints in one question; the vendor takes 50, and answers with the whole schema of each


class Platform:
    """The platform API at ``root``, asked with the key of an account."""

    def __init__(self, api: Caller, root: str) -> None:
        self._api, self._root = api, root

    def account(self) -> str:
        """
        Return the account's name and credit in words.

        :raises ProviderError: no answer, or a refusal.
        """
        where = f"{self._root}/account/billing?expand=credits"
        told = self._api.read(where, purpose="test connection", seconds=calls.CHECK_SECONDS)
        name, credit = told.get("username"), told.get("credits")
        left = usd(credit.get("current_balance")) if isinstance(credit, dict) else None
        facts = [f"account {name[:60]}" if isinstance(name, str) else "", f"${left:,.2f} of credit" if left is not None else ""]
        return ", ".join(filter(None, facts))

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Return what is listed of these endpoints.

        :raises ProviderError: no answer, or a refusal.
        """
        names = sorted(endpoints)
        found: dict[str, ListedEndpoint] = {}
        for first in range(0, len(names), AT_ONCE):
            found |= self._some(names[first : first + AT_ONCE])
        return Listing({name: found[name] for name in names if name in found})

    def _some(self, names: Collection[str]) -> dict[str, ListedEndpoint]:
        asked = ",".join(names)
        prices = self._prices(asked)
        found = {}
        for row in self._rows("", {"endpoint_id": asked, "expand": "openapi-3.0"}, "models"):
            name, about = row.get("endpoint_id"), row.get("metadata")
            if isinstance(name, str):
                state = about.get("status") if isinstance(about, dict) else None
                found[name] = ListedEndpoint(state == "deprecated", properties_of(row.get("openapi")), prices.get(name, {}))
        return found

    def _prices(self, asked: str) -> dict[str, dict[str, Decimal]]:
        rows = [row for row in self._rows("/pricing", {"endpoint_id": asked}, "prices") if row.get("currency", "USD") == "USD"]
        known = [(row, price) for row in rows if (price := usd(row.get("unit_price"))) is not None]
        return {str(row.get("endpoint_id")): {str(row.get("unit"))[:40]: price} for row, price in known}

    def _rows(self, path: str, query: Mapping[str, str], name: str) -> list[dict[str, Any]]:
        """Return the rows of a list, or none if the platform knows none of them."""
        where = f"{self._root}/models{path}?{urlencode(query)}"
        try:
            body = self._api.read(where, purpose="list models", seconds=calls.EXTRA_SECONDS, max_bytes=calls.LIST_BYTES)
        except ProviderError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return []
            raise
        rows = body.get(name)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
