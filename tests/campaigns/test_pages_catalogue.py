"""The catalogue of products: imported, searched, deleted, and nobody else's."""

import html
import json
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import CatalogueRow
from queue_app.models import User
from tests.campaigns.test_page import text_of
from tests.campaigns.written import SHOES
from tests.factories import NOON, UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
CATALOGUE = "/pages/catalogue/"


@pytest.fixture
def owner() -> User:
    return UserFactory()


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def said(web: Client, query: str = "") -> str:
    return html.unescape(text_of(html_of(web.get(CATALOGUE + query))))


def test_products_are_imported_shown_searched_and_deleted(web: Client, owner: User, client_for: Login) -> None:
    assert "No products yet" in said(web)
    file = SimpleUploadedFile("shoes.json", json.dumps(SHOES).encode())
    assert web.post(CATALOGUE, {"do": "import", "file": file}).status_code == 302
    text = said(web)
    assert "3 products imported." in text
    assert "Fell 1 Weight: 241 g, Drop: 6 mm, Lugs: 5 mm" in text and "F-1 120.90 EUR" in text
    assert "Fell 2" in said(web, "?search=f-2") and "Fell 1" not in said(web, "?search=f-2")
    assert "No products match “boot”" in said(web, "?search=boot")

    other = client_for(UserFactory(staff=True))
    assert "No products yet" in said(other)
    other.post(CATALOGUE, {"do": "delete", "sku": ["F-1"], "sure": "yes"})
    asked = html.unescape(text_of(html_of(web.post(f"{CATALOGUE}?search=fell", {"do": "delete", "sku": ["F-1", "F-2", "X"]}))))
    assert "Delete 2 products? Fell 1 (F-1), Fell 2 (F-2)." in asked and "You can't undo this." in asked
    assert CatalogueRow.objects.count() == 3

    sure = {"do": "delete", "sku": ["F-1", "F-2"], "sure": "yes"}
    assert web.post(f"{CATALOGUE}?search=fell", sure)["Location"] == f"{CATALOGUE}?search=fell"
    assert list(CatalogueRow.objects.values_list("sku", flat=True)) == ["F-3"]
    assert "2 products deleted." in said(web)
    web.post(CATALOGUE, sure)
    assert "These products are deleted already." in said(web)
    web.post(CATALOGUE, {"do": "delete"})
    assert "Select the products to delete." in said(web)


def test_an_import_names_the_rows_that_it_leaves_out(web: Client, owner: User) -> None:
    pasted = "sku,name,price\nF-1,Fell 1,129.90\nF-2,,99\nF-3,Fell 3,1.299\n"
    answer = web.post(CATALOGUE, {"do": "import", "pasted": pasted})
    text = html.unescape(text_of(html_of(answer)))
    assert "1 product imported. 2 problems below" in text
    assert "3 name Add the name of the product." in text and "4 price Enter a number" in text
    assert pasted.strip() in answer.content.decode()  # nothing that was typed is lost

    refused = web.post(CATALOGUE, {"do": "import", "pasted": "{broken"})
    assert refused.status_code == 422 and "This is not JSON" in text_of(html_of(refused))


def test_hostile_data_is_shown_as_text(web: Client, owner: User) -> None:
    hostile = "<script>alert(1)</script>"
    data = {"name": hostile, "attributes": {hostile: hostile}, "price": {"amount": 1}}
    CatalogueRow.objects.create(owner=owner, sku=hostile, name=hostile, data=data, changed_at=NOON)
    assert hostile not in web.get(CATALOGUE).content.decode()
