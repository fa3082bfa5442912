"""The page of a page: its stages while it is written, then its preview, checks and versions, and a person's decision."""

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import actions, review
from campaigns.models import Approval, Page
from campaigns.pages import inputs
from campaigns.pages.languages import LANGUAGES
from campaigns.rules import differences
from campaigns.views import confirmation
from campaigns.views.access import may_change, page_seen_by, page_to_change
from campaigns.writing import launch, packing, progress, reviews
from campaigns.writing.progress import PageFacts
from queue_app import clock
from queue_app.api.views.files import PAGE_POLICY
from queue_app.forecast import estimates
from queue_app.models import Asset, State
from queue_app.rules import numbers
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import display, fragments, job_facts
from queue_app.ui.access import viewer
from queue_app.ui.holds import Mended
from queue_app.work.intake import IntakeRefused

PAGE, HTML, MARKDOWN, CHANGES = "page", "html", "markdown", "changes"
SHOWS = {PAGE: "Page", HTML: "HTML", MARKDOWN: "Markdown", CHANGES: "Changes"}
FILES = {Asset.Kind.PAGE: "HTML", Asset.Kind.MARKDOWN: "Markdown", Asset.Kind.JSON_LD: "JSON-LD"}
TITLE_MOST, DESCRIPTION_MOST = 60, 160  # characters that search results show
CRUMBS_MOST = 4
TEXT_MOST = 400_000  # bytes of a file that are shown
FOUND_MOST = 6  # examples of what a check found
VERSIONS_MOST = 20
_TAGS = re.compile(r"(<[^<>]*>)")
DECIDED = {Approval.APPROVE: "Page approved.", Approval.REJECT: "Page rejected.", Approval.NONE: "Review undone."}


@login_required
@require_GET
def page(request: HttpRequest, job: int) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    found, at = page_seen_by(request, job), clock.now()
    facts = progress.of_job(found.job, at=at)
    about = job_facts.facts(found.job, at=at, group="batch")
    others = _versions(found)
    files = packing.latest_files([found.pk, *(one.pk for one in others)])
    context = about | {
        "at": at,
        "page": found,
        "language": LANGUAGES[found.language].name,
        "facts": facts,
        "stage": facts.current,
        "left": estimates.for_job(found.job, at) if found.job.is_open else None,
        "holds": [Mended(hold) for hold in about["limits"]],
        "is_link": urlsplit(found.target_url).scheme in ("http", "https"),
        "files": [(FILES[Asset.Kind(kind)], file) for kind, file in files[found.pk].items()],
        "checks": _checks(facts),
        "passed": sum(check.outcome == "pass" for check in facts.report.checks) if facts.report else 0,
        "serp": _search_result(found, facts),
        "json_ld": _json_ld(facts, files[found.pk]),
        "versions": others,
        "found_most": FOUND_MOST,
        "may_change": may_change(request, found.owner_id),
        "may_decide": found.job.state == State.COMPLETED and may_change(request, found.owner_id),
        **_preview(request, found, facts, others, files),
    }
    return fragments.answer(request, "campaigns/pages/one.html", "campaigns/pages/_one.html", context)


@login_required
@require_GET
@never_cache
def preview(request: HttpRequest, job: int) -> HttpResponse:
    """
    Return the page as far as it is written, as a document of its own: in a sandbox, without scripts, and nothing is loaded.

    :raises Http404: nothing is written yet.
    """
    found = page_seen_by(request, job)
    facts = progress.of_job(found.job, at=clock.now())
    draft = facts.draft()
    if draft is None:
        raise Http404
    place = get_random_string(20)
    context = {"page": found, "place": place, "is_whole": facts.document is not None}
    body = _highlighted(draft.html, facts.request.keywords if facts.request else ())
    shown = render_to_string("campaigns/pages/preview.html", context).replace(place, body, 1)
    return HttpResponse(shown, headers={"Content-Security-Policy": PAGE_POLICY, "X-Frame-Options": "SAMEORIGIN"})


@login_required
@require_POST
def decide(request: HttpRequest, job: int) -> HttpResponse:
    """Approve or reject the page, or take that back."""
    found = page_to_change(request, job)
    try:
        decision = Approval(request.POST.get("decision", ""))
        note = request.POST.get("note") if decision else None
        reviews.decide(found, decision, at=clock.now(), by=viewer(request), note=note)
    except ValueError:
        messages.error(request, "Not saved. Choose approve or reject.")
    except (reviews.NotDecidable, review.NoteRefused) as refusal:
        messages.error(request, f"Not saved. {refusal}")
    else:
        messages.success(request, DECIDED[decision])
    return redirect("campaigns:written", job)


@login_required
@require_http_methods(["GET", "POST"])
def version(request: HttpRequest, job: int) -> HttpResponse:
    """Ask for another version with an edited brief and voice; on POST, queue it."""
    found, at = page_to_change(request, job), clock.now()
    typed = {
        "brief": request.POST.get("brief", inputs.brief_of(found.job.metadata, found.job.prompt)),
        "voice": request.POST.get("voice", str(found.job.metadata.get("brand_voice") or "")),
    }
    key = request.POST.get("key") or get_random_string(22)
    wrong: Sequence[str] = ()
    if request.method == "POST":
        try:
            again, _ = launch.new_version(found, **typed, key=key, shown=confirmation.shown(request), at=at, by=viewer(request))
        except actions.NotAsShown:
            wrong = [confirmation.CHANGED]
        except IntakeRefused as refusal:
            wrong = [problem.message for problem in refusal.problems]
        except (NotEnoughTickets, launch.WritingRefused) as refusal:
            wrong = [str(refusal)]
        else:
            messages.success(request, "New version queued.")
            return redirect("campaigns:written", again.pk)
    cost = launch.cost(found.job.owner, [found.job.base_priority], at=at)
    context: dict[str, Any] = {"page": found, "cost": cost, "typed": typed, "key": key, "wrong": wrong, "at": at}
    context |= {"brief_most": inputs.BRIEF_MOST, "voice_most": inputs.VOICE_MOST}
    return render(request, "campaigns/pages/version.html", context, status=409 if wrong else 200)


def _preview(
    request: HttpRequest, found: Page, facts: PageFacts, others: Sequence[Page], files: dict[int, dict[str, Asset]]
) -> dict[str, Any]:
    """Return what the card of the preview shows: the frame, a text, or the changes between two versions."""
    asked = request.GET.get("show", "")
    mine, show = files[found.pk], asked if asked in SHOWS else PAGE
    texts = {HTML: Asset.Kind.PAGE, MARKDOWN: Asset.Kind.MARKDOWN}
    with_text = [one for one in others if one.pk != found.pk and Asset.Kind.MARKDOWN in files[one.pk]]
    earlier = [one for one in with_text if one.version < found.version] or with_text
    against = next((one for one in with_text if one.version == numbers.of_row(request.GET.get("against", ""))), None)
    against = against or (earlier[0] if earlier else None)
    tabs = [PAGE, *(name for name, kind in texts.items() if kind in mine)]
    if against and Asset.Kind.MARKDOWN in mine:
        tabs.append(CHANGES)
    show = show if show in tabs else PAGE
    context: dict[str, Any] = {
        "show": show,
        "tabs": [(name, SHOWS[name]) for name in tabs],
        "against": against if show == CHANGES else None,
        # another number whenever the frame has something new
        "drawn": "whole" if facts.document else len(facts.written),
    }
    if show in texts:
        context["text"] = _text(mine[texts[show]])
    if show == CHANGES and against:
        before, after = (_text(files[one.pk][Asset.Kind.MARKDOWN]) for one in (against, found))
        context["changes"] = differences.changes(before, after)
        context["is_same"] = before == after
    return context


def _highlighted(html: str, keywords: Sequence[str]) -> str:
    """Return the HTML of a page with its keywords marked wherever a reader sees them."""
    words = "|".join(re.escape(word) for word in sorted(keywords, key=len, reverse=True) if word)
    if not words:
        return html
    pattern = re.compile(f"({words})", re.I)

    def marked(text: str) -> str:
        pieces = pattern.split(unescape(text))
        return display.marked((piece, bool(place % 2)) for place, piece in enumerate(pieces))

    return "".join(part if place % 2 else marked(part) for place, part in enumerate(_TAGS.split(html)))


def _text(file: Asset) -> str:
    """Return a stored text; empty if its file is missing."""
    try:
        with default_storage.open(file.name) as stored:
            return bytes(stored.read(TEXT_MOST)).decode("utf-8", "ignore")
    except OSError:
        return ""


def _versions(found: Page) -> list[Page]:
    """Return the versions of a page, the latest first."""
    same = Page.objects.filter(owner=found.owner_id, language=found.language).at(found.target_url)
    return list(same.select_related("job", "decided_by").order_by("-version")[:VERSIONS_MOST])


def _checks(facts: PageFacts) -> list[dict[str, Any]]:
    """Return the checks, each with its colour and drawing; those that failed first."""
    looks = {"pass": ("ok", "completed"), "warn": ("hm", "warn"), "fail": ("no", "failed")}
    order = ["fail", "warn", "pass"]
    checks = sorted(facts.report.checks if facts.report else (), key=lambda check: order.index(check.outcome))
    return [
        {
            "check": check,
            "look": looks[check.outcome][0],
            "icon": looks[check.outcome][1],
            "found": check.found[:FOUND_MOST],
            "more": max(0, len(check.found) - FOUND_MOST),
        }
        for check in checks
    ]


def _search_result(found: Page, facts: PageFacts) -> dict[str, Any] | None:
    """Return the page as a search engine would list it, cut where they cut."""
    if facts.document is None:
        return None
    parts = urlsplit(found.target_url)
    crumbs = [parts.netloc, *(unquote(part) for part in parts.path.split("/") if part)]
    return {
        "crumbs": " › ".join(crumbs[:CRUMBS_MOST]),
        "title": _cut(facts.document.title, TITLE_MOST),
        "description": _cut(facts.document.description, DESCRIPTION_MOST),
    }


def _cut(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters: a longer one ends with a whole word and “…”."""
    if len(text) <= most:
        return text
    short = text[:most]
    return f"{short.rpartition(' ')[0] if ' ' in short[most // 2 :] else short}…"


def _json_ld(facts: PageFacts, files: Mapping[str, Asset]) -> str:
    """Return the JSON-LD of a page: that of its file, or else of its text so far."""
    if Asset.Kind.JSON_LD in files:
        return _text(files[Asset.Kind.JSON_LD])
    made = facts.document.json_ld if facts.document else {}
    return json.dumps(made, ensure_ascii=False, indent=2) if made else ""
