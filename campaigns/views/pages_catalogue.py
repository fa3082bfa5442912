"""The user's catalogue of products: imported from CSV or JSON, searched, looked at, deleted."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from campaigns.models import CatalogueRow
from campaigns.pages.grid import BYTES_MOST, FileRefused
from campaigns.writing import products
from campaigns.writing.products import Imported
from queue_app import clock
from queue_app.models import User
from queue_app.rules.numbers import counted
from queue_app.ui.access import viewer

A_PAGE = 50
SEARCH_MOST = 200  # characters
WORDS_MOST = 6
TOLD_MOST = 20  # rows of an import that are named
NAMED_MOST = 5  # products that the confirmation names
FACTS_MOST = 4  # attributes of a product that its row shows


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the catalogue; on POST, import a file or pasted products, or delete the selected ones."""
    owner, do = viewer(request), request.POST.get("do", "")
    if do == "import":
        return _import(request, owner)
    if do == "delete":
        return _delete(request, owner)
    return _show(request, owner)


def _delete(request: HttpRequest, owner: User) -> HttpResponse:
    """Show the confirmation page; once it is confirmed, delete the selected products."""
    here, skus = f"{reverse('campaigns:page-catalogue')}{_query(request)}", request.POST.getlist("sku")
    chosen = list(CatalogueRow.objects.filter(owner=owner, sku__in=skus).order_by("sku").values_list("sku", "name"))
    if not chosen:
        messages.warning(request, "Select the products to delete." if not skus else "These products are deleted already.")
        return redirect(here)
    if not request.POST.get("sure"):
        context = {
            "chosen": chosen,
            "named": chosen[:NAMED_MOST],
            "more": max(0, len(chosen) - NAMED_MOST),
            "action": here,
            "at": clock.now(),
        }
        return render(request, "campaigns/pages/delete_products.html", context)
    messages.success(request, f"{counted(products.delete(owner, skus), 'product')} deleted.")
    return redirect(here)


def _import(request: HttpRequest, owner: User) -> HttpResponse:
    file, text = request.FILES.get("file"), request.POST.get("pasted", "")
    data = file.read(BYTES_MOST + 1) if file else text.encode(errors="replace")
    try:
        done = products.import_products(owner, data, at=clock.now())
    except FileRefused as refusal:
        return _show(request, owner, problems=refusal.messages, pasted=text, status=422)
    if done.problems:
        return _show(request, owner, done=done, pasted=text, status=422 if not done.created + done.changed else 200)
    messages.success(request, _words(done))
    return redirect("campaigns:page-catalogue")


def _show(request: HttpRequest, owner: User, *, done: Imported | None = None, status: int = 200, **more: Any) -> HttpResponse:
    words = _searched(request)
    rows = Paginator(_found(owner, words), A_PAGE).get_page(request.GET.get("page"))
    context = {
        "at": clock.now(),
        "page": rows,
        "lines": [(row, _price(row), _facts(row), json.dumps(row.data, ensure_ascii=False, indent=2)) for row in rows],
        "search": words,
        "here": _query(request),
        "done": done,
        "done_words": _words(done) if done else "",
        "told": done.problems[:TOLD_MOST] if done else (),
        "untold": max(0, len(done.problems) - TOLD_MOST) if done else 0,
        "rows_most": f"{products.ROWS_MOST:,}",
        **more,
    }
    return render(request, "campaigns/pages/catalogue.html", context, status=status)


def _found(owner: User, words: str) -> QuerySet[CatalogueRow]:
    rows = CatalogueRow.objects.filter(owner=owner).order_by("sku")
    for word in words.split()[:WORDS_MOST]:
        rows = rows.filter(Q(sku__icontains=word) | Q(name__icontains=word))
    return rows


def _words(done: Imported) -> str:
    """Return what an import did: “3 products imported, 1 changed, 2 as before.”"""
    parts = [f"{counted(done.created, 'product')} imported", f"{done.changed:,} changed", f"{done.unchanged:,} as before"]
    counts = (1, done.changed, done.unchanged)
    return ", ".join(part for part, count in zip(parts, counts, strict=True) if count) + "."


def _price(row: CatalogueRow) -> str:
    price, currency = (row.data.get(name) for name in ("price", "currency"))
    return " ".join(str(one) for one in (price, currency) if isinstance(one, str | int | float))


def _facts(row: CatalogueRow) -> str:
    """Return the first attributes in a line: “Weight: 240 g, Drop: 6 mm”."""
    attributes = row.data.get("attributes")
    if not isinstance(attributes, dict):
        return ""
    told = [f"{label}: {value}" for label, value in attributes.items() if isinstance(value, str | int | float)]
    return ", ".join(told[:FACTS_MOST]) + (", …" if len(told) > FACTS_MOST else "")


def _searched(request: HttpRequest) -> str:
    return request.GET.get("search", "").strip()[:SEARCH_MOST]


def _query(request: HttpRequest) -> str:
    asked = {name: value for name in ("search", "page") if (value := request.GET.get(name, ""))}
    return f"?{urlencode(asked)}" if asked else ""
