"""An owner's catalogue: imported row by row, looked up by SKU, closed to others."""

import json
from datetime import timedelta
from typing import Any

import pytest

from campaigns.models import CatalogueRow
from campaigns.pages import inputs
from campaigns.pages.grid import FileRefused
from campaigns.writing import products
from campaigns.writing.products import Imported
from queue_app.models import User
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
CSV = """SKU;Name;price;currency;attributes.Weight;Sole
F2;Fell 2;129,90 €;;240 g;Rubber
F3;Fell 3;139.90;EUR;;
"""


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=0)


def imported(owner: User, data: Any, **options: Any) -> Imported:
    given = data if isinstance(data, bytes) else data.encode() if isinstance(data, str) else json.dumps(data).encode()
    return products.import_products(owner, given, **{"at": NOON, **options})


def problems(found: Imported) -> list[tuple[int, str, str]]:
    return [(one.number, one.column, one.message) for one in found.problems]


def test_products_of_csv_are_kept_as_pages_take_them(owner: User) -> None:
    found = imported(owner, CSV)

    assert (found.created, found.changed, found.unchanged, found.problems) == (2, 0, 0, [])
    data = products.look_up(owner, ["F2", "F3", "F4"])
    assert data == {
        "F2": {"sku": "F2", "name": "Fell 2", "price": "129,90 €", "attributes": {"Weight": "240 g", "Sole": "Rubber"}},
        "F3": {"sku": "F3", "name": "Fell 3", "price": "139.90", "currency": "EUR"},
    }
    page = {
        "page_type": "product",
        "target_url": "https://a.example/",
        "keywords": ["x"],
        "language": "de",
        "product": data["F2"],
    }
    [product] = inputs.read(page, "", languages=["de"]).products
    assert (product.price, product.currency, product.attributes["Weight"]) == ("129.90", "EUR", "240 g")
    assert CatalogueRow.objects.get(owner=owner, sku="F2").name == "Fell 2"


@pytest.mark.parametrize("wrapped", [lambda rows: rows, lambda rows: {"products": rows}])
def test_products_of_json_keep_all_their_data(owner: User, wrapped: Any) -> None:
    rows = [{"sku": 7, "name": "Fell\x00 2", "vegan": True, "sizes": [40, 41.5]}]
    assert imported(owner, wrapped(rows)).created == 1
    assert products.look_up(owner, ["7"]) == {"7": {"sku": 7, "name": "Fell 2", "vegan": True, "sizes": [40, 41.5]}}


def test_one_product_of_json_is_a_product(owner: User) -> None:
    assert imported(owner, {"sku": "F2", "name": "Fell 2"}).created == 1


def test_another_import_changes_what_differs(owner: User) -> None:
    imported(owner, CSV)
    later = NOON + timedelta(days=1)

    found = imported(owner, CSV.replace("139.90", "149.90") + "F4;Fell 4;;;;\n", at=later)

    assert (found.created, found.changed, found.unchanged) == (1, 1, 1)
    rows = {row.sku: row for row in CatalogueRow.objects.filter(owner=owner)}
    assert rows["F3"].data["price"] == "149.90"
    assert {sku: row.changed_at for sku, row in rows.items()} == {"F2": NOON, "F3": later, "F4": later}


def test_rows_with_errors_are_told_and_the_others_are_kept(owner: User) -> None:
    found = imported(
        owner,
        CSV + "F4;;cheap;;;\n;Fell 5;;;;\nF2;Fell 2 again;;;;\n\nF6;=1+1;;;;\nF7;Fell 7\nF8;Fell 8;;;;\n",
    )

    assert found.created == 3 and [*products.look_up(owner, ["F2", "F3", "F8"])] == ["F2", "F3", "F8"]
    assert problems(found) == [
        (4, "name", "Add the name of the product."),
        (4, "price", "Enter a number with a point, such as 129.90. The currency has a field of its own."),
        (5, "sku", "Add the SKU: pages name the product by it."),
        (6, "sku", "SKU “F2” is in row 2 already. Remove one of the two."),
        (8, "name", "This is a formula. Enter the value itself."),
        (9, "", "This row has 2 cells for 6 columns. Add the missing ones; they may be empty."),
    ]


def test_a_sku_that_a_list_of_skus_would_cut_is_refused(owner: User) -> None:
    named = [{"sku": sku, "name": "A"} for sku in ("A,1", "A;1", "A|1", "A\n1", {"name": "B,1"}, "A&amp;1", "A/1 ")]
    found = imported(owner, named)
    said = "Remove commas, semicolons, bars and line breaks: they separate SKUs from each other."
    assert problems(found) == [(number, "sku", said) for number in range(1, 6)]
    assert products.skus_of(owner) == [("A&1", "A"), ("A/1", "A")]


def test_rows_of_json_with_errors_are_told_by_their_number(owner: User) -> None:
    deep: dict[str, Any] = {}
    for _ in range(9):
        deep = {"a": deep}
    found = imported(
        owner, [7, {"sku": "A", "name": "A", **deep}, {"sku": "B", "name": "B", "x": ["y" * 400] * 40}, {"sku": [], "name": "C"}]
    )

    assert found.created == 0
    assert {(number, column) for number, column, _ in problems(found)} == {
        (1, ""),
        (2, ""),
        (3, ""),
        (4, "sku"),
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "The file is empty"),
        ("sku,price\n1,2\n", "Add a column name."),
        ("sku,sku,name\n1,2,3\n", "“sku” is here twice: columns 1 and 2"),
        ("[{]", "This is not JSON: Expecting property name enclosed in double quotes in line 1, character 3."),
        ("[" * 100_000, "This JSON can't be read"),
        ("[]", "The file has no products"),
        ('{"products": 7}', "The file has no products"),
        (b'[{"sku": "\xff"}]', "Save it as UTF-8"),
        (b"PK\x03\x04", "an Excel workbook"),
        ([{"sku": str(number), "name": "A"} for number in range(5_001)], "5,001 products; the limit is 5,000"),
    ],
    ids=["empty", "no name", "twice", "no JSON", "deep", "no rows", "no list", "bytes", "workbook", "many"],
)
def test_a_file_that_can_not_be_read_is_refused(owner: User, data: Any, words: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        imported(owner, data)
    assert words in str(refusal.value) and not CatalogueRow.objects.exists()


def test_a_catalogue_has_a_limit(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "OWNED_MOST", 2)
    imported(owner, CSV)
    assert imported(owner, CSV.replace("Rubber", "Cork")).changed == 1
    with pytest.raises(FileRefused, match=r"more than 2\. Delete some first"):
        imported(owner, CSV + "F4;Fell 4;;;;\n")


def test_products_of_others_are_unknown(owner: User) -> None:
    other = UserFactory(tickets=0)
    imported(owner, CSV)
    imported(other, CSV.replace("Fell", "Fjord"))

    assert products.delete(other, ["F2", "F9"]) == 1
    assert [*products.look_up(other, ["F2", "F3"])] == ["F3"]
    assert products.look_up(owner, ["F2"])["F2"]["name"] == "Fell 2"
    assert (products.skus_of(owner), products.skus_of(owner, 1)) == ([("F2", "Fell 2"), ("F3", "Fell 3")], [("F2", "Fell 2")])


def test_many_products_take_few_queries(owner: User, django_assert_max_num_queries: Any) -> None:
    rows = [{"sku": str(number), "name": "A"} for number in range(1_500)]
    with django_assert_max_num_queries(12):
        assert imported(owner, rows).created == 1_500
