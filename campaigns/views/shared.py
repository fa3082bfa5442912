"""
The pages of a share link, for everyone who has its address: one result at a time; approve, reject and comment if the link allows.

Every address begins with the link's token, and every request checks that the link still works. Unknown, expired and revoked links
look the same.
"""

from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from campaigns import reel, review, sharing
from campaigns.models import ShareLink
from campaigns.models.combination import Review
from campaigns.reel import Picked
from campaigns.review import Result
from campaigns.sharing import ShareRefused
from campaigns.views import stage
from queue_app import clock
from queue_app.api.views import files
from queue_app.ui import pace
from queue_app.ui.fragments import fragment_wanted

P = ParamSpec("P")
SharedView = Callable[Concatenate[HttpRequest, ShareLink, P], HttpResponseBase]
TokenView = Callable[..., HttpResponseBase]  # of a request, a token, and the view's own arguments

RATES = {"page": 300, "file": 3_000, "answer": 60}  # calls a minute of one link, by kind of request
UNKNOWN_RATE = 30  # calls a minute of one address with unknown tokens
NAME_COOKIE, NAME_SALT, NAME_KEPT = "share_name", "share name", 90 * 86_400
TABS = {"": "All", review.TO_REVIEW: "To review", Review.APPROVED: "Approved", Review.REJECTED: "Rejected"}
HEADERS = {
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "same-origin",  # the address is the key: other sites must not learn it
    "Cache-Control": "private, no-store",
}


def for_visitors(kind: str) -> Callable[[SharedView[P]], TokenView]:
    """Make a view of a link a view of a token, with the rate limit of this kind of request and the headers of a private page."""

    def made(view: SharedView[P]) -> TokenView:
        @wraps(view)
        def guarded(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            link = sharing.find(token, at=clock.now())
            who = f"link:{link.pk}" if link else f"nobody:{request.META.get('REMOTE_ADDR', '')}"
            wait = pace.spend(f"share:{kind}:{who}", calls=RATES[kind] if link else UNKNOWN_RATE, seconds=60).wait
            if wait:
                response: HttpResponseBase = render(request, "campaigns/shared/busy.html", status=429)
                response["Retry-After"] = str(ceil(wait))
            else:
                if link and kind == "page":
                    sharing.note_opened(link, at=clock.now())
                response = _answered(view, request, link, *args, **kwargs)
            for name, value in HEADERS.items():
                response.setdefault(name, value)
            return response

        return guarded

    return made


@require_GET
@for_visitors("page")
def first(request: HttpRequest, link: ShareLink) -> HttpResponse:
    """Go to the first result that this link's visitors have not reviewed. If there are no results yet, say so."""
    begin = reel.first(link.campaign, sharing.results(link), Picked("", {}, ""))
    if begin is None:
        return render(request, "campaigns/shared/empty.html", {"link": link, "campaign": link.campaign})
    return redirect("campaigns:shared-result", _token(request), begin.index)


@require_GET
@for_visitors("page")
def page(request: HttpRequest, link: ShareLink, index: int) -> HttpResponse:
    """Show one result above the strip of the others; to htmx, the parts that change between results."""
    return _show(request, link, sharing.results(link), index)


@require_POST
@for_visitors("answer")
def answer(request: HttpRequest, link: ShareLink, index: int) -> HttpResponse:
    """Save the visitor's review and go on to the next result without one; with ``say``, save only the comment and stay."""
    name, comment = request.POST.get("name", ""), request.POST.get("comment", "")
    verdict = None if "say" in request.POST else request.POST.get("review", "")
    try:
        saved = sharing.answer(link, index, verdict=verdict, comment=comment, name=name, at=clock.now())
    except ShareRefused as refusal:
        errors = {problem.field: problem.message for problem in refusal.problems}
        status = 200 if fragment_wanted(request) else 422  # htmx shows no errors
        found = sharing.results(link)
        return _show(request, link, found, index, status=status, errors=errors, name=name, comment=comment)
    found, picked = sharing.results(link), reel.picked(link.campaign, request.GET)
    following = reel.of(link.campaign, found, picked, index).following if verdict else None
    to = following.index if following else index
    if fragment_wanted(request):
        ended = bool(verdict) and following is None
        response = _show(request, link, found, to, done=index, ended=ended, name=saved.name)
    else:
        response = redirect(_page(request, picked, to))
    signed, secure = signing.dumps(saved.name, salt=NAME_SALT), settings.SESSION_COOKIE_SECURE
    response.set_cookie(NAME_COOKIE, signed, max_age=NAME_KEPT, path="/s/", httponly=True, samesite="Lax", secure=secure)
    return response


@require_GET
@for_visitors("file")
def file(request: HttpRequest, link: ShareLink, asset_id: UUID, name: str) -> HttpResponseBase:
    """Return a file that the link shows. Browsers ask again each time, so a revoked link shows nothing from their caches."""
    asset = sharing.file_of(link, asset_id)
    if asset is None:
        raise Http404
    response = files.sent(request, asset, f"{asset.kind}-{asset.pk}.{asset.file_name.rpartition('.')[2]}")
    response["Cache-Control"] = "private, no-cache"
    return response


def _show(
    request: HttpRequest, link: ShareLink, found: list[Result], index: int, *, status: int = 200, done: int = 0, **told: Any
) -> HttpResponse:
    """:raises Http404: the link does not show this result."""
    campaign, picked = link.campaign, reel.picked(link.campaign, request.GET)
    here = next((one for one in found if one.index == index), None)
    if here is None:
        raise Http404
    seen, address = reel.of(campaign, found, picked, index), stage.files_at("campaigns:shared-file", _token(request))
    is_fragment, query = fragment_wanted(request), picked.query()
    counts = {verdict: sum(verdict in ("", one.review or review.TO_REVIEW) for one in found) for verdict in TABS}
    last = next((one for one in found if one.index == done), None)
    context = {
        "link": link,
        "campaign": campaign,
        "here": here,
        "heading": stage.name_of(campaign, here),
        "staged": stage.staged(review.media_of([here.job]).get(here.job, review.Media()), address),
        "seen": seen,
        "total": len(found),
        "reviewed": len(found) - counts[review.TO_REVIEW],
        "linked_tabs": [
            (verdict, name, counts[verdict], picked.query(verdict=verdict)) for verdict, name in TABS.items() if link.may_answer
        ],
        "picked": picked,
        "query": f"?{query}" if query else "",
        "token": _token(request),
        "before_url": _page(request, picked, seen.before.index) if seen.before else "",
        "after_url": _page(request, picked, seen.after.index) if seen.after else "",
        "client_reviews": sharing.answers_on(here.job, link=link),
        "ahead": stage.ahead(seen.following, address),
        "frames": stage.frames(
            campaign,
            [last] if is_fragment and last else [] if is_fragment else seen.kept,
            shown=index,
            page=lambda one: _page(request, picked, one),
            address=address,
            marked=link.may_answer,
        ),
        "name": _name(request),
        "comment": "",
        "errors": {},
        "at": clock.now(),
        **told,
    }
    if last is not None:
        context["done"] = {"review": last.review, "words": stage.words_of(last.review)}
        context["done_name"], context["back_to_done"] = stage.name_of(campaign, last), _page(request, picked, done)
    template = "campaigns/shared/_answer.html" if is_fragment else "campaigns/shared/page.html"
    response = render(request, template, context, status=status)
    if is_fragment:
        response["HX-Replace-Url"] = _page(request, picked, index)
    return response


def _answered(
    view: SharedView[P], request: HttpRequest, link: ShareLink | None, *args: P.args, **kwargs: P.kwargs
) -> HttpResponseBase:
    try:
        return view(request, link, *args, **kwargs) if link else _gone(request)
    except Http404:
        return _gone(request)


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "campaigns/shared/gone.html", status=404)


def _token(request: HttpRequest) -> str:
    """Return the token in the address of this request."""
    assert request.resolver_match is not None
    return str(request.resolver_match.kwargs["token"])


def _page(request: HttpRequest, picked: Picked, index: int) -> str:
    query = picked.query()
    return reverse("campaigns:shared-result", args=[_token(request), index]) + (f"?{query}" if query else "")


def _name(request: HttpRequest) -> str:
    """Return the name that the visitor typed before, on any link."""
    try:
        return str(signing.loads(request.COOKIES.get(NAME_COOKIE, ""), salt=NAME_SALT, max_age=NAME_KEPT))
    except signing.BadSignature:
        return ""
