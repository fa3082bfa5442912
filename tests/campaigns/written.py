"""Pages as intake creates them, and products that carry every page type."""

from typing import Any

from campaigns.models import Page
from queue_app.models import State, User
from tests.factories import make_job

SHOES = [
    {
        "name": f"Fell {number}",
        "sku": f"F-{number}",
        "price": f"{119 + number}.90",
        "currency": "EUR",
        "attributes": {"Weight": f"{240 + number} g", "Drop": "6 mm", "Lugs": "5 mm"},
    }
    for number in range(1, 4)
]


def metadata(**fields: Any) -> dict[str, Any]:
    """What a product page asks for, as the API takes it."""
    known = {
        "page_type": "product",
        "target_url": "https://nordfell.no/en/fell-1",
        "keywords": ["fell shoes"],
        "language": "en",
        "product": SHOES[0],
    }
    return known | fields


def make_page(owner: User, state: str = State.COMPLETED, *, job: dict[str, Any] | None = None, **fields: Any) -> Page:
    """Create a page whose job is in this state; ``fields`` are those of the page."""
    asked = metadata()
    made = make_job(state, owner=owner, model_id="page-writer", kind_id="page", parameters={}, metadata=asked, **(job or {}))
    known = {"page_type": "product", "target_url": asked["target_url"], "language": "en", "title": "Fell shoes", "version": 1}
    return Page.objects.create(job=made, owner=owner, metadata=made.metadata, **(known | fields))
