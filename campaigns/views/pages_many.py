"""Many pages from a CSV: rows with their errors, corrected in place, and all that are ready queued at once."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import holds
from campaigns.actions import NotAsShown
from campaigns.models import PageDraft
from campaigns.pages import table
from campaigns.pages.columns import COLUMNS
from campaigns.pages.grid import BYTES_MOST, FileRefused
from campaigns.pages.table import TableRow
from campaigns.views.pages_new import REFUSALS, offer_of, uuid_of
from campaigns.writing import drafts, launch, sheets
from campaigns.writing.drafts import MANY, AlreadyMade, Body
from campaigns.writing.launch import DraftGone
from campaigns.writing.sheets import PageSheet
from queue_app import clock
from queue_app.models import User
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.rules.words import storable
from queue_app.ui.access import viewer
from queue_app.work.intake import JOBS_MOST, IntakeRefused

A_PAGE = 50  # rows
LONG = 60  # characters of a cell that needs more than a line
# column of the file → column of the page, in its order
SHOWN = {
    "page_type": "Type",
    "target_url": "Target URL",
    "keywords": "Main keyword",
    "language": "Language",
    "deadline": "Deadline",
}
# other columns that can be wrong, as the form of one page calls them
OTHERS = {
    "brand_voice": "Voice",
    "brief": "Brief",
    "skus": "SKUs",
    "product": "Product data, JSON",
    "sku_count": "SKU count",
    "monthly_searches": "Searches a month",
    "content_status": "Content now",
    "competitor_urls": "Pages of competitors",
    "questions": "Questions people ask",
    "skip_quality_check": "Skip the quality check, yes or no",
}
LABELS = SHOWN | OTHERS
_CELL = re.compile(r"cell\.(\d{1,9})\.(.{1,200})", re.S)
_QUEUED_BEFORE = "These pages were already queued."
_UNSAVED = "Your last changes came too late and were not saved."
_OTHER_FILE = "Another file was opened in another tab. Nothing was changed or generated. Check these rows."


@dataclass(frozen=True)
class ShownCell:
    """A cell of a row as the page shows it; a wrong one is an input."""

    name: str
    label: str
    text: str
    is_wrong: bool

    @property
    def shown(self) -> str:
        """Return the text in short: of keywords the main one."""
        return re.split(r"[;|\n]", self.text)[0].strip() if self.name == "keywords" else self.text

    @property
    def is_long(self) -> bool:
        return len(self.text) > LONG or "\n" in self.text or self.name in ("brief", "product", "questions")


@dataclass(frozen=True)
class RowLine:
    """A row as the page shows it: its ``main`` cells, other ones that are wrong, and why."""

    number: int
    main: Sequence[ShownCell]
    also: Sequence[ShownCell]
    errors: Sequence[str]
    warning: str


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def many(request: HttpRequest) -> HttpResponse:
    """Show the rows of the open draft, or the form for a file; on POST, do what the pressed button says."""
    owner, at = viewer(request), clock.now()
    do = request.POST.get("do", "")
    if request.method != "POST":
        return _show(request, drafts.open_of(owner, MANY), at=at)
    if do == "read":
        return _read(request, owner, at=at)
    key = uuid_of(request.POST.get("draft", ""))
    posted = PageDraft.objects.filter(pk=key, owner=owner, form=MANY).first()
    try:
        saved = _changed(request, owner, posted, at=at)
        if saved is None:
            return _show(request, drafts.open_of(owner, MANY), at=at, refusal=_OTHER_FILE, status=409)
        if saved.made is not None:
            return _queued_before(request, saved.made)
        if not saved.body["rows"]:
            return _emptied(request, saved, owner)
        return _generate(request, saved, owner, at=at) if do == "generate" else _show(request, saved, at=at)
    except AlreadyMade as found:
        return _queued_before(request, found.made, unsaved=True)


@never_cache
@login_required
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Save the changed cells and return the rows and the price, as htmx asks at every change."""
    owner, at = viewer(request), clock.now()
    posted = PageDraft.objects.filter(pk=uuid_of(request.POST.get("draft", "")), owner=owner, form=MANY).first()
    try:
        saved = _changed(request, owner, posted, at=at)
    except AlreadyMade as found:
        messages.warning(request, f"{_QUEUED_BEFORE} {_UNSAVED}")
        return HttpResponse(headers={"HX-Redirect": reverse("campaigns:page-batch", args=[found.made])})
    if saved and saved.made is not None:  # the button was pressed while this was on its way
        return HttpResponse(headers={"HX-Redirect": reverse("campaigns:page-batch", args=[saved.made])})
    shown = saved or drafts.open_of(owner, MANY)
    if shown is None:
        return HttpResponse(headers={"HX-Redirect": reverse("campaigns:page-many")})
    context = _context(request, shown, at=at, refusal="" if saved else _OTHER_FILE)
    return render(request, "campaigns/pages/_many_look.html", context)


@login_required
@require_GET
def template_csv(request: HttpRequest) -> HttpResponse:
    """Return a CSV to start from."""
    return _file(table.template(), "pages-template.csv")


@never_cache
@login_required
@require_GET
def wrong_csv(request: HttpRequest) -> HttpResponse:
    """Return the rows that need a change, with the reasons in a column of their own, which is ignored when they come back."""
    owner = viewer(request)
    opened = drafts.open_of(owner, MANY)
    if opened is None:
        return redirect("campaigns:page-many")
    sheet = sheets.look(opened.body, owner, at=clock.now())
    return _file(table.with_reasons(sheet.table), f"{sheet.file.rpartition('.')[0] or sheet.file}-to-change.csv")


def _read(request: HttpRequest, owner: User, *, at: datetime) -> HttpResponse:
    """Read a file or pasted rows into the draft, in place of the rows that it had."""
    file, pasted = request.FILES.get("file"), request.POST.get("pasted", "")
    opened = drafts.open_of(owner, MANY)
    try:
        data = file.read(BYTES_MOST + 1) if file else pasted.encode(errors="replace")
        body = sheets.read(data, str(file.name) if file else sheets.PASTED, owner, at=at)
    except FileRefused as refusal:
        return _show(request, opened, at=at, problems=refusal.messages, pasted=pasted, status=422)
    drafts.save(owner, MANY, body, draft=uuid.uuid4(), at=at)
    return redirect("campaigns:page-many")


def _changed(request: HttpRequest, owner: User, posted: PageDraft | None, *, at: datetime) -> PageDraft | None:
    """
    Save the cells that were sent. Return the draft, which may be queued by now; ``None`` if it is no longer there.

    :raises AlreadyMade: it was queued meanwhile, with other cells.
    """
    if posted is None or posted.made is not None:
        return posted
    changes: dict[int, dict[str, str]] = {}
    for name in request.POST:
        if found := _CELL.fullmatch(name):
            text = storable(request.POST[name]).replace("\r\n", "\n")
            changes.setdefault(int(found[1]), {})[found[2]] = text
    removed = numbers.of_row(request.POST.get("remove", ""))
    body = sheets.changed(posted.body, changes, without=[removed] if removed else [])
    return drafts.save(owner, MANY, body, draft=posted.pk, at=at)


def _queued_before(request: HttpRequest, batch: int, *, unsaved: bool = False) -> HttpResponse:
    """Go to the batch that these rows became. ``unsaved``: some cells were changed too late."""
    if unsaved:
        messages.warning(request, f"{_QUEUED_BEFORE} {_UNSAVED}")
    else:
        messages.success(request, f"{_QUEUED_BEFORE} No duplicates were created.")
    return redirect("campaigns:page-batch", batch)


def _emptied(request: HttpRequest, saved: PageDraft, owner: User) -> HttpResponse:
    """Discard a draft whose last row was removed, and show the form for a file."""
    drafts.discard(owner, MANY, saved.pk)
    messages.success(request, "The last row was removed. Choose another file.")
    return redirect("campaigns:page-many")


def _generate(request: HttpRequest, saved: PageDraft, owner: User, *, at: datetime) -> HttpResponse:
    """Queue all ready rows as one batch with the file's name; the others stay as a draft."""
    body: Body = saved.body
    sheet = sheets.look(body, owner, at=at)
    if not sheet.ready:
        return _show(request, saved, at=at, refusal="Nothing was generated. No row is ready yet.", status=422)
    others = sheets.rest(body, [row.number for row in sheet.wrong])
    try:
        batch, is_new = launch.write_draft(
            saved,
            sheet.wanted,
            shown=offer_of(request.POST),
            at=at,
            actor=owner.username,
            batch_name=sheet.file,
            rest=others,
        )
    except NotAsShown:
        cost = launch.cost(owner, [rank.level for rank in sheet.ranks], at=at)
        price = counted(cost.tickets, "ticket") if cost else "not known"
        pages = counted(len(sheet.ready), "page")
        refusal = f"Not generated yet: it is now {pages} for {price}. Press Generate again to confirm."
        return _show(request, saved, at=at, refusal=refusal, status=409)
    except IntakeRefused as found:
        words = _by_row(found, sheet)
        return _show(request, saved, at=at, refusal=f"Nothing was generated. {words}", status=422)
    except REFUSALS as found:
        left = drafts.open_of(owner, MANY) if isinstance(found, DraftGone) else saved
        return _show(request, left, at=at, refusal=f"Nothing was generated. {found}", status=422)
    if not is_new:
        return _queued_before(request, batch)
    count = len(sheet.ready)
    messages.success(request, f"{counted(count, 'page')} {'is' if count == 1 else 'are'} queued.")
    return redirect("campaigns:page-batch", batch)


def _by_row(refusal: IntakeRefused, sheet: PageSheet) -> str:
    """Return what intake refuses, by the numbers of the rows."""
    told = [
        problem.message if problem.index is None else f"Row {sheet.ready[problem.index].number}: {problem.message}"
        for problem in refusal.problems
    ]
    return " ".join(told[:5])


def _show(
    request: HttpRequest,
    draft: PageDraft | None,
    *,
    at: datetime,
    refusal: str = "",
    problems: Sequence[str] = (),
    pasted: str = "",
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {"draft": uuid.uuid4(), "at": at, "refusal": refusal}
    if draft:
        context |= _context(request, draft, at=at, refusal=refusal)
    context |= {
        "another": bool(problems) or "another" in request.GET,
        "problems": problems,
        "pasted": pasted,
        "columns": COLUMNS,
        "rows_most": f"{JOBS_MOST:,}",
    }
    return render(request, "campaigns/pages/many.html", context, status=status)


def _context(request: HttpRequest, draft: PageDraft, *, at: datetime, refusal: str = "") -> dict[str, Any]:
    """Return the content of the page with rows, and of its changing parts."""
    owner = viewer(request)
    sheet = sheets.look(draft.body, owner, at=at)
    shows_all = request.GET.get("show") == "all"
    found = sheet.rows if shows_all else sheet.to_check
    number = max(1, min(numbers.of_row(request.GET.get("page", "")) or 1, -(-len(found) // A_PAGE)))
    rows = found[(number - 1) * A_PAGE :][:A_PAGE]
    model = launch.writer()
    return {
        "at": at,
        "draft": draft.pk,
        "saved": draft,
        "refusal": refusal,
        "sheet": sheet,
        "rows": [_line(row, sheet) for row in rows],
        "shows_all": shows_all,
        "look_url": reverse("campaigns:page-many-look") + _query(shows_all=shows_all, number=number),
        "to_check_query": _query(shows_all=False),
        "all_query": _query(shows_all=True),
        "first": (number - 1) * A_PAGE + 1,
        "last": (number - 1) * A_PAGE + len(rows),
        "total": len(found),
        "a_page": A_PAGE,
        "before_query": _query(shows_all=shows_all, number=number - 1) if number > 1 else "",
        "after_query": _query(shows_all=shows_all, number=number + 1) if number * A_PAGE < len(found) else "",
        "cost": launch.cost(owner, [rank.level for rank in sheet.ranks], at=at),
        "priorities": sheet.priorities,
        "hold": holds.of_models([model.key], at=at).get(model.key) if model else None,
    }


def _query(*, shows_all: bool, number: int = 1) -> str:
    asked = [*(["show=all"] if shows_all else []), *([f"page={number}"] if number > 1 else [])]
    return f"?{'&'.join(asked)}"


def _line(row: TableRow, sheet: PageSheet) -> RowLine:
    wrong = {_column(error.column, sheet) for error in row.errors}
    is_whole = "" in wrong  # then each of its cells may be wrong

    def cell(name: str) -> ShownCell:
        return ShownCell(name, LABELS.get(name, name), row.cells.get(name, ""), name in wrong or is_whole)

    also = [name for name in [*sheet.table.columns, *COLUMNS] if name in wrong and name not in SHOWN]
    return RowLine(
        row.number,
        [cell(name) for name in SHOWN],
        [cell(name) for name in dict.fromkeys(also)],
        [error.message for error in row.errors],
        sheet.versions.get(row.number, ""),
    )


def _column(name: str, sheet: PageSheet) -> str:
    """Return where an error can be corrected: in its column, or in one that the file doesn't have yet."""
    return name if name in sheet.table.columns or name in COLUMNS or not name else "product"


def _file(text: str, name: str) -> HttpResponse:
    safe = re.sub(r"[^\w .()-]+", "_", name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)
