"""The form of one page: saved at every change, shown with its price, time and priority, queued once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import holds
from campaigns.actions import NotAsShown, Offer
from campaigns.models import Brand, PageDraft
from campaigns.pages import plan
from campaigns.pages.types import PageType
from campaigns.writing import drafts, launch, orders, products
from campaigns.writing.drafts import MANY, ONE, AlreadyMade, Body
from campaigns.writing.launch import DraftGone, WritingRefused
from queue_app import clock
from queue_app.models import User
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.rules.words import storable
from queue_app.tickets import NotEnoughTickets
from queue_app.ui.access import viewer
from queue_app.work.intake import IntakeRefused, KindRestricted, ModelNotAvailable

REFUSALS = (WritingRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, IntakeRefused)
UNNOTED = ("brand", "voice_of", "skip_quality_check")  # fields that can't be wrong
_NOT_DISCARDED = "Nothing was discarded. The draft was queued or replaced in another tab."
# what must be there, as the summary names it while it is still empty
NEEDED = {"target_url": "a target URL", "keywords": "a keyword"}


@dataclass(frozen=True)
class TypeCard:
    """A page type as the form offers it: what such a page is, and what its data must have."""

    page_type: PageType
    is_about: str
    needs: str

    @property
    def name(self) -> str:
        return self.page_type.capitalize()

    @property
    def words(self) -> str:
        """Return how long such a page is: “300–500 words”."""
        low, high = plan.words(self.page_type)
        return f"{low:,}–{high:,} words"


CARDS = (
    TypeCard(PageType.PRODUCT, "one product", f"a product with {plan.SPECS_LEAST} attributes or more"),
    TypeCard(PageType.CATEGORY, "a list of products", f"{plan.LISTED_LEAST} products or more"),
    TypeCard(
        PageType.COMPARISON,
        "side by side",
        f"{plan.COMPARED_LEAST} to {plan.COMPARED_MOST} products that share {plan.SHARED_LEAST} attributes",
    ),
    TypeCard(
        PageType.GUIDE, "explains", f"{plan.GUIDE_FACTS_LEAST} facts of products, or a brief of {plan.BRIEF_LEAST} characters"
    ),
)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Show the form; on POST, do what the pressed button says and keep everything that was typed."""
    owner, at = viewer(request), clock.now()
    if request.method != "POST":
        opened = drafts.open_of(owner, ONE)
        body = {**orders.blank(), **(opened.body if opened else {})}
        return render(request, "campaigns/pages/new.html", PageForm(owner, body, opened, at=at).context())
    form = _posted(request, owner, at=at)
    form.save()
    if request.POST.get("do") == "generate" and (job := form.generate(offer_of(request.POST))) is not None:
        words = "Your page is queued." if form.is_new else "Your page was already queued. No duplicate was created."
        messages.success(request, words)
        return redirect("campaigns:written", job)
    return render(request, "campaigns/pages/new.html", form.context(), status=422 if form.is_refused else 200)


@never_cache
@login_required
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Save the draft and return the parts that depend on it: price, time, priority, errors."""
    form = _posted(request, viewer(request), at=clock.now())
    form.save()
    return render(request, "campaigns/pages/_new_look.html", form.context())


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def discard(request: HttpRequest, form: str) -> HttpResponse:
    """Show the confirmation page; on POST, delete the open draft of one page or of many."""
    owner, back = viewer(request), "campaigns:page-new" if form == ONE else "campaigns:page-many"
    if request.method == "POST":
        if drafts.discard(owner, form, uuid_of(request.POST.get("draft", ""))):
            messages.success(request, "Draft discarded.")
        else:
            messages.warning(request, _NOT_DISCARDED)
        return redirect(back)
    opened = drafts.open_of(owner, form)
    if opened is None:
        return redirect(back)
    body = opened.body
    what = f"{body['file']}, {counted(len(body['rows']), 'row')}" if form == MANY else body["keywords"] or body["target_url"]
    context = {"draft": opened, "what": what, "back": reverse(back), "at": clock.now()}
    return render(request, "campaigns/pages/discard.html", context)


def _posted(request: HttpRequest, owner: User, *, at: datetime) -> "PageForm":
    """Read a post. A value that the page cannot have sent is read as empty."""
    typed = {name: storable(request.POST.get(name, "")) for name in orders.FIELDS}
    body = orders.with_voice({**typed, "page_type": typed["page_type"] or PageType.PRODUCT})
    return PageForm(owner, body, None, at=at, key=uuid_of(request.POST.get("draft", "")), was_voiced=typed["voice_of"])


def offer_of(post: QueryDict) -> Offer:
    """Return the number of pages and the price that the pressed button named."""
    return Offer(*(numbers.of_row(post.get(name, "")) for name in ("told_count", "told_tickets")))


def uuid_of(text: str) -> uuid.UUID:
    """Return the id of a draft; a new one for anything else."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()


class PageForm:
    """One request of the form: the fields, the saved draft and the content of the page."""

    def __init__(
        self,
        owner: User,
        body: Body,
        saved: PageDraft | None,
        *,
        at: datetime,
        key: uuid.UUID | None = None,
        was_voiced: str | None = None,
    ):
        self.owner, self.body, self.saved, self.at = owner, body, saved, at
        self.key = saved.pk if saved else key or uuid.uuid4()
        self.has_new_voice = was_voiced is not None and was_voiced != body["voice_of"]
        self.order = orders.read(body, owner, at=at)
        self.rank = launch.rank(owner, self.order.wanted, at=at)
        self.cost = launch.cost(owner, [self.rank.level], at=at)
        self.conflict: int | None = None  # the job that this draft became, with other words
        self.is_refused, self.is_new = False, True
        self.refusal = ""

    def save(self) -> None:
        """Save the draft. If it was queued with other words, these are a new draft that is not saved yet."""
        try:
            self.saved = drafts.save(self.owner, ONE, self.body, draft=self.key, at=self.at)
            self.key = self.saved.pk
        except AlreadyMade as found:
            self.conflict, self.key = found.made, uuid.uuid4()

    def generate(self, shown: Offer) -> int | None:
        """Queue the page once and return its job; ``None`` if that is refused, and the form shows why."""
        self.is_refused = True
        if self.saved is None:
            return None
        if self.saved.made is not None:
            self.is_new = False
            return self.saved.made
        if not self.order.is_good:
            self.refusal = "Nothing was generated. Fix the highlighted fields."
            return None
        try:
            job, self.is_new = launch.write_draft(
                self.saved, [self.order.wanted], shown=shown, at=self.at, actor=self.owner.username
            )
        except NotAsShown:
            price = counted(self.cost.tickets, "ticket") if self.cost else "not known"
            self.refusal = f"Not generated yet: the price is now {price}. Press Generate again to confirm."
        except AlreadyMade as found:
            self.conflict, self.key, self.saved = found.made, uuid.uuid4(), None
        except REFUSALS as refusal:
            self.refusal = f"Nothing was generated. {refusal}"
            self.saved = None if isinstance(refusal, DraftGone) else self.saved
        else:
            return job
        return None

    def context(self) -> dict[str, Any]:
        """Return the content of the page and of its changing parts."""
        needed = [words for name, words in NEEDED.items() if self._is_empty(name)]
        if not self._has_data:
            needed.append("product data" if self.body["page_type"] != PageType.GUIDE else "product data or a brief")
        errors = dict(self.order.errors)
        if not self.is_refused:  # somebody is still typing
            errors = {name: said for name, said in errors.items() if not self._is_empty(name)}
        return {
            "at": self.at,
            "body": self.body,
            "draft": self.key,
            "saved": self.saved if self.saved and self.saved.made is None else None,
            "conflict": reverse("campaigns:written", args=[self.conflict]) if self.conflict else "",
            "refusal": self.refusal,
            "order": self.order,
            "errors": errors,
            "field_errors": [(name, errors.get(name, ())) for name in orders.FIELDS if name not in UNNOTED],
            "plan": self.order.plan if self._has_data or self.is_refused else (),
            "needed": needed,
            "cards": [(card, self.body["page_type"] == card.page_type) for card in CARDS],
            "card": next((card for card in CARDS if card.page_type == self.body["page_type"]), CARDS[0]),
            "languages": orders.languages(),
            "statuses": orders.STATUSES.items(),
            "brands": self._brands(),
            "brand": Brand.objects.named(self.body["brand"]) if self.owner.is_staff else None,
            "has_new_voice": self.has_new_voice,
            "skus": products.skus_of(self.owner),
            "rank": self.rank,
            "cost": self.cost,
            "hold": self._hold(),
        }

    def _is_empty(self, name: str) -> bool:
        return name in self.order.errors and not str(self.body[name]).strip()

    @property
    def _has_data(self) -> bool:
        """Whether there is anything to write from."""
        names = ("product_data", "skus", *(["brief"] if self.body["page_type"] == PageType.GUIDE else []))
        return any(self.body[name].strip() for name in names)

    def _brands(self) -> Sequence[str]:
        """Return the brands whose voice can be filled in."""
        return list(Brand.objects.order_by("name").values_list("name", flat=True)[:500])

    def _hold(self) -> Any:
        model = launch.writer()
        return holds.of_models([model.key], at=self.at).get(model.key) if model else None
