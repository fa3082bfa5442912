"""
An owner's catalogue of products, which pages take their data from: imported from CSV or JSON, looked up by SKU, deleted.

A product is kept as it was given. An import keeps every valid row, all of one product or nothing of it, and reports the others.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns.models import CatalogueRow
from campaigns.pages import grid, product_data, wording
from campaigns.pages.grid import FileRefused
from campaigns.pages.languages import LANGUAGES
from campaigns.pages.table import CellProblem
from queue_app.models import User
from queue_app.rules.nesting import is_deeper

ROWS_MOST = 5_000  # of one import
OWNED_MOST = 50_000  # products of one owner
DATA_MOST = 12_000  # characters of a product as JSON, of the 16,000 that a page's metadata may have
LEVELS_MOST = 8
_ENGLISH = LANGUAGES["en"]  # for checks alone: what is kept is in no language yet
_ATTRIBUTES = "attributes."
NEEDED = ("sku", "name")
_SEPARATOR = re.compile(r"[,;|]")  # of SKUs in the form or a CSV file, as are line breaks
_Row = tuple[int, dict[str, Any], list[CellProblem]]


@dataclass(frozen=True)
class ImportProblem:
    """A row that was not imported, by its number in the file, and why: ``column`` is empty if it is the row."""

    number: int
    column: str
    message: str


@dataclass
class Imported:
    """What an import did: how many products are new, changed, as before, and what was left out."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[ImportProblem] = field(default_factory=list)


def import_products(owner: User, data: bytes, *, at: datetime) -> Imported:
    """
    Keep the products of a CSV or JSON file in the owner's catalogue; those with a known SKU replace what was there.

    :raises FileRefused: the file can't be read, or the catalogue would be too large.
    """
    imported = Imported()
    products: dict[str, dict[str, Any]] = {}
    numbers: dict[str, int] = {}
    for number, product, damage in _products(data, NEEDED):
        problems = damage or [*_problems(product)]
        sku = "" if problems else product_data.as_text(product["sku"], _ENGLISH)
        if sku and numbers.setdefault(sku, number) != number:
            problems = [CellProblem("sku", f"SKU {wording.quoted(sku)} is in row {numbers[sku]} already. Remove one of the two.")]
        if problems:
            imported.problems += [ImportProblem(number, *one) for one in problems]
        else:
            products[sku] = product
    _keep(owner, products, imported, at=at)
    return imported


def pasted(text: str) -> list[dict[str, Any]]:
    """
    Return the products of a text that somebody pasted, JSON or CSV, as pages take them; they need no SKU.

    :raises FileRefused: it can't be read, or a row of it is damaged.
    """
    rows = [*_products(text.encode(errors="replace"), ["name"])]
    if damage := [f"Row {number}: {problem.message}" for number, _, problems in rows for problem in problems]:
        raise FileRefused(*damage[: grid.TOLD_MOST])
    return [product for _, product, _ in rows]


def look_up(owner: User, skus: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the data of the owner's products by SKU, as pages take it, without unknown ones and those of others."""
    found = CatalogueRow.objects.filter(owner=owner, sku__in=[*skus])
    return {row.sku: row.data for row in found}


def skus_of(owner: User, most: int = 500) -> list[tuple[str, str]]:
    """Return the first SKUs of the owner's catalogue with their products' names, as suggestions."""
    return [*CatalogueRow.objects.filter(owner=owner).order_by("sku").values_list("sku", "name")[:most]]


def delete(owner: User, skus: Collection[str]) -> int:
    """Delete the owner's products by these SKUs, and return how many there were. Finished pages keep what they were made of."""
    deleted, _ = CatalogueRow.objects.filter(owner=owner, sku__in=[*skus]).delete()
    return deleted


@transaction.atomic
def _keep(owner: User, products: Mapping[str, dict[str, Any]], imported: Imported, *, at: datetime) -> None:
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=owner.pk)  # two imports at once would miss the limit
    before = look_up(owner, products.keys())
    new = [sku for sku in products if sku not in before]
    owned = CatalogueRow.objects.filter(owner=owner).count()
    if owned + len(new) > OWNED_MOST:
        raise FileRefused(
            f"Your catalogue has {owned:,} products; with these it would have more than {OWNED_MOST:,}. Delete some first."
        )
    differing = [sku for sku, product in products.items() if sku in before and before[sku] != product]
    rows = [
        CatalogueRow(owner=owner, sku=sku, name=_name(products[sku]), data=products[sku], changed_at=at)
        for sku in (*new, *differing)
    ]
    CatalogueRow.objects.bulk_create(
        rows, 1_000, update_conflicts=True, unique_fields=["owner", "sku"], update_fields=["name", "data", "changed_at"]
    )
    imported.created, imported.changed = len(new), len(differing)
    imported.unchanged = len(products) - len(rows)


def _name(product: Mapping[str, Any]) -> str:
    return product_data.as_text(product["name"], _ENGLISH)


def _problems(product: Mapping[str, Any]) -> Iterator[CellProblem]:
    """Yield what keeps a product out of the catalogue, each at its column. One that is too large is not even read."""
    if (size := len(json.dumps(product, ensure_ascii=False))) > DATA_MOST:
        yield CellProblem("", f"This product is {size:,} characters as JSON; the limit is {DATA_MOST:,}. Shorten it.")
        return
    reader = product_data.ProductReader(product, "product", _ENGLISH)
    found = reader.product()
    if not found.sku and not any(one.field == "product.sku" for one in reader.objections):
        yield CellProblem("sku", "Add the SKU: pages name the product by it.")
    given = product.get("sku")
    if _SEPARATOR.search(found.sku) or (isinstance(given, str) and len(given.strip().splitlines()) > 1):
        yield CellProblem("sku", "Remove commas, semicolons, bars and line breaks: they separate SKUs from each other.")
    for objection in reader.objections:
        yield CellProblem(objection.field.removeprefix("product").removeprefix("."), objection.message)


def _products(data: bytes, needed: Sequence[str]) -> Iterator[_Row]:
    """Return number, data and problems of each row; in JSON, products count from 1. ``needed``: columns that a CSV must have."""
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return _of_json(data) if text.startswith((b"[", b"{")) else _of_csv(data, needed)


def _of_json(data: bytes) -> Iterator[_Row]:
    if len(data) > grid.BYTES_MOST:
        raise FileRefused(f"The file is {len(data) / 1e6:.1f} MB; the limit is {grid.BYTES_MOST / 1e6:g} MB. Split it.")
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise FileRefused(f"This is not JSON: {error.msg} in line {error.lineno}, character {error.colno}.") from None
    except (ValueError, RecursionError):
        raise FileRefused("This JSON can't be read. Save it as UTF-8, with a list of products.") from None
    if isinstance(found, Mapping):
        found = found.get("products", [found])
    if not isinstance(found, list) or not found:
        raise FileRefused("The file has no products. Send a list of objects, each with sku and name.")
    if len(found) > ROWS_MOST:
        raise FileRefused(f"The file has {len(found):,} products; the limit is {ROWS_MOST:,}. Split it into several files.")
    for number, product in enumerate(found, 1):
        if not isinstance(product, Mapping) or is_deeper(product, LEVELS_MOST):
            wanted = f"Send an object with sku and name, nested at most {LEVELS_MOST} levels deep."
            yield number, {}, [CellProblem("", wanted)]
        else:
            yield number, product_data.storable(product), []


def _of_csv(data: bytes, needed: Sequence[str]) -> Iterator[_Row]:
    found = grid.read(data, rows_most=ROWS_MOST, is_known=lambda name: _column(name) in product_data.KEYS)
    columns = [_column(name) for name in found.columns]
    problems = grid.name_problems(columns)
    problems += [f"Add a column {name}.{_hint(name, columns)}" for name in needed if name not in columns]
    if problems:
        raise FileRefused(*problems[: grid.TOLD_MOST])
    for record in found.records:
        cells = [(column, text.strip()) for column, text in zip(columns, record.cells, strict=False) if text.strip()]
        wrong = [CellProblem("", record.problem)] if record.problem else []
        wrong += [CellProblem(column, said) for column, text in cells if (said := grid.cell_problem(text))]
        yield record.number, _of_cells(cells), wrong


def _column(name: str) -> str:
    """Return the key of a product's data that a column gives: one of ours, or the label of an attribute as it is written."""
    text = wording.line(name)
    key = text.lower().replace(" ", "_").removeprefix("product.")
    if key in product_data.KEYS and key != "attributes":
        return key
    return text[text.find(".", text.lower().find(_ATTRIBUTES)) + 1 :].strip() if key.startswith(_ATTRIBUTES) else text


def _hint(name: str, columns: Sequence[str]) -> str:
    near = wording.did_you_mean(name, [column for column in columns if column not in product_data.KEYS])
    return near.replace("Did you mean", "Is it called").replace("?", "? Rename it.") if near else ""


def _of_cells(cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    product: dict[str, Any] = {}
    for column, text in cells:
        if column in product_data.KEYS:
            product[column] = text
        else:
            product.setdefault("attributes", {})[column] = text
    return product
