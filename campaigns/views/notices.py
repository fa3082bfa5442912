"""The user's notices: the list, read and dismissed there, and what they want to be told of, in which way."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import notices
from queue_app import clock, tickets
from queue_app.models import Notice, User, Wallet
from queue_app.rules import numbers
from queue_app.ui import addresses, fragments
from queue_app.ui.access import viewer

NOTICES_A_PAGE = 50
LOW_AT_MOST = tickets.GRANT_MOST


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """
    Show the page; to htmx, its changing parts or 204.

    On POST, mark the user's notice ``notice`` as read, with unread ones about the same, or with ``all`` all of them; or take
    ``dismiss`` out of the list.
    """
    user = viewer(request)
    if request.method == "POST":
        _read(user, request.POST.get("notice", ""))
        gone = Notice.objects.filter(user=user, pk=numbers.of_row(request.POST.get("dismiss", "")))
        gone.filter(read_at=None).update(read_at=clock.now())
        gone.update(shown=False)
        return redirect(addresses.of_ours(request, request.POST.get("next", "")) or reverse("campaigns:notices"))
    context = _context(request, user)
    return fragments.answer(request, "campaigns/notices/page.html", "campaigns/notices/_board.html", context)


@login_required
@require_GET
def follow(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the page of a notice. Whoever goes there has read the notice."""
    notice = get_object_or_404(Notice, pk=pk, user=viewer(request))
    _read(viewer(request), str(notice.pk))
    return redirect(addresses.of_ours(request, notice.url) or reverse("campaigns:notices"))


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Save the ways in which the user is told of each topic, and the number of tickets below which they are told."""
    user, typed = viewer(request), request.POST.get("low_at", "").strip()
    low_at = 0 if typed == "0" else numbers.of_row(typed)
    chosen = {way: request.POST.getlist(way) for way in notices.WAYS}
    wanted = {topic: [way for way in notices.WAYS if topic in chosen[way]] for topic in notices.TOPICS}
    if low_at > LOW_AT_MOST or (not low_at and typed != "0"):
        wrong = f"Enter a whole number from 0 to {LOW_AT_MOST:,}."
        context = _context(request, user) | {"topics": _topics(wanted), "low_at": typed, "wrong": wrong}
        return render(request, "campaigns/notices/page.html", context, status=422)
    notices.switch(user, wanted)
    tickets.set_low_at(user, low_at)
    messages.success(request, "Notice settings saved.")
    return redirect("campaigns:notices")


def _read(user: User, wanted: str) -> None:
    unread = Notice.objects.filter(user=user, read_at=None)
    if wanted != "all":
        chosen = unread.filter(pk=numbers.of_row(wanted))
        alike = unread.exclude(url="").filter(event__in=chosen.values("event"), url__in=chosen.values("url"))
        unread = chosen | alike
    unread.update(read_at=clock.now())


def _context(request: HttpRequest, user: User) -> dict[str, Any]:
    shown = Notice.objects.filter(user=user, shown=True).order_by("-id")
    wallet = Wallet.objects.filter(owner=user).first() or Wallet()
    wanted = {topic: [way for way in notices.WAYS if notices.wants(user, topic, way)] for topic in notices.TOPICS}
    return {
        "at": clock.now(),
        "page": Paginator(shown, NOTICES_A_PAGE).get_page(request.GET.get("page")),
        "topics": _topics(wanted),
        "low_at": wallet.low_at,
        "webhooks": reverse("campaigns:webhooks"),
    }


def _topics(wanted: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the rows of the settings: each topic, with whether each way is wanted."""
    return [
        {
            "key": key,
            "topic": topic,
            "ways": [(way, way in wanted[key]) for way in notices.WAYS],
        }
        for key, topic in notices.TOPICS.items()
    ]
