"""The campaign form: saved at every change, shown with its cost, time and matrix, launched once."""

import json
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import drafts, estimates, forms, holds, launch, plan, polishing
from campaigns.brief import TEXTS
from campaigns.drafts import DraftConflict
from campaigns.forms import Asked
from campaigns.launch import LaunchRefused
from campaigns.models import Campaign, Draft
from campaigns.plan import Sketch
from campaigns.polishing import FIELD, PolishingRefused
from campaigns.views import fields, images
from campaigns.views.matrix import Matrix, marked
from campaigns.views.polishing import Panel
from queue_app import clock
from queue_app.models import User
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import parameters
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted, unchanged
from queue_app.ui.parameters import Choices, Typed
from queue_app.work import capacity
from queue_app.work.intake import IntakeRefused, KindRestricted, ModelNotAvailable

NOTED = (
    *("name", *TEXTS, "dimensions", "model", *parameters.NAMES, "images", "priority", "max_concurrent", "budget_tickets"),
    *("start", "still_model"),
)
SHOWS = list(zip(forms.SHOWS, ("All", "Blocked", "Warning", "Excluded"), strict=True))


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Show the form; on POST, do what the pressed button says and keep everything that was typed."""
    if request.method != "POST":
        return _opened(request)
    at = clock.now()
    asked = forms.read(request.POST)
    typed = Typed.of(asked.body)
    wrong = images.take(request, typed, viewer(request), at=at)
    asked.body.update(typed.body)
    form = Form(viewer(request), asked, at=at)
    form.wrong_images = wrong
    form.save()
    form.polish()
    if form.asked.do == "launch" and form.conflict is None:
        campaign = form.launch()
        if campaign is not None:
            videos = form.count_words if form.bought else "Already launched. No duplicates were created"
            messages.success(request, f"{videos}.")
            return redirect("campaigns:page", campaign.pk)
    return render(request, "campaigns/new.html", form.page())


@never_cache
@login_required
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Save the draft and return the parts that depend on it: count, cost, time, matrix, advice."""
    form = Form(viewer(request), forms.read(request.POST), at=clock.now())
    form.save()
    form.polish()
    return render(request, "campaigns/_new_preview.html", form.context())


@never_cache
@login_required
@require_GET
def polish(request: HttpRequest) -> HttpResponse:
    """Return to htmx the polishing of the open draft, or 204 if the page shows it already."""
    owner, at = viewer(request), clock.now()
    if not fragment_wanted(request):
        return redirect("campaigns:new")
    opened = drafts.open_of(owner)
    body = drafts.fields_of(opened) if opened else forms.BLANK
    panel = Panel(owner, opened, body, plan.checker_of(body["brand"]), capacity.available_models(), at=at)
    if unchanged(request, panel.token):
        return HttpResponse(status=204)
    return render(request, "campaigns/_polish_look.html", panel.context(""))


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def discard(request: HttpRequest) -> HttpResponse:
    """Show the confirmation page; on POST, delete the open draft."""
    opened = drafts.open_of(viewer(request))
    if opened is None:
        return redirect("campaigns:new")
    if request.method != "POST":
        return render(request, "campaigns/discard.html", {"draft": opened})
    asked = forms.read(request.POST)
    if drafts.discard(viewer(request), draft=asked.draft, revision=asked.revision):
        messages.success(request, "Draft discarded.")
    else:
        messages.error(request, "Draft kept: it was changed in another tab. Check it before you discard it.")
    return redirect("campaigns:new")


def _opened(request: HttpRequest) -> HttpResponse:
    """Show the form with the user's draft, or with the fields of an existing campaign."""
    user, at = viewer(request), clock.now()
    opened = drafts.open_of(user)
    conflict, saved = None, opened
    if "from" in request.GET:
        body = drafts.from_campaign(_campaign(request))
        conflict, saved = (DraftConflict(opened), None) if opened else (None, None)
    else:
        body = drafts.fields_of(opened) if opened else {"model": fields.default_model(capacity.available_models())}
    key, revision = (saved.pk, saved.revision) if saved else (uuid.uuid4(), 0)
    form = Form(user, Asked(body=forms.BLANK | body, draft=key, revision=revision, tab="", do="look"), at=at)
    form.conflict, form.saved = conflict, saved
    return render(request, "campaigns/new.html", form.page())


def _campaign(request: HttpRequest) -> Campaign:
    """:raises Http404: there is no campaign with that number that this user may see (I35)."""
    wanted = numbers.of_row(request.GET.get("from", ""))
    return get_object_or_404(Campaign.objects.of(viewer(request)).select_related("batch", "brand"), pk=wanted)


class Form:
    """One request of the form: the posted fields, the saved draft and the content of the page."""

    def __init__(self, owner: User, asked: Asked, *, at: datetime):
        self.owner, self.asked, self.at = owner, asked, at
        self.conflict: DraftConflict | None = None
        self.saved: Draft | None = None
        self.bought = False
        self.refusal = ""
        self.not_polished = ""
        self.followed: list[str] = []
        self.wrong_images: dict[str, list[str]] = {}
        self.ways = capacity.usable_routes()
        self.offered = capacity.available_models(self.ways)
        self.model = self.offered.get(asked.body["model"])
        self.typed = Typed.of(asked.body)
        self.rendered = " ".join([asked.body["model"], *self.typed.images])
        self.choices: Choices | None = None
        if self.model is not None:
            self.choices = Choices(self.model, self.ways[self.model.key], self.typed.images)
            if asked.rendered_model not in ("", self.rendered):
                self.followed = parameters.follow(self.typed, self.choices)
                asked.body.update(self.typed.body)
        self.sketch = self._sketched()

    def save(self) -> None:
        """Save the draft, unless another tab saved first."""
        asked = self.asked
        try:
            self.saved = drafts.save(
                self.owner, asked.body, draft=asked.draft, revision=asked.revision, tab=asked.tab, at=self.at
            )
            if self.saved.campaign is not None and asked.do != "launch":
                raise DraftConflict(drafts.open_of(self.owner), self.saved.campaign)
        except DraftConflict as conflict:
            self.saved, self.conflict = None, conflict

    def polish(self) -> None:
        """Do what a button of the polishing asks for. If that is refused, the page says why at the field."""
        asked, draft = self.asked, self.saved
        if draft is None:
            return
        try:
            if asked.do == "polish":
                model = polishing.writer(self.offered, self.owner)
                told, seen = asked.polish_told, asked.polish_failed
                self.saved = polishing.start(draft, self.owner, model, self.sketch.checker, told=told, seen=seen, at=self.at)
            elif choice := polishing.CHOICES.get(asked.do):
                self.saved = drafts.change(draft, choice, at=self.at)
                asked.body[FIELD] = self.saved.body[FIELD]
                self.sketch = self._sketched()
        except (PolishingRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, IntakeRefused) as refusal:
            self.not_polished = f"Not polished. {refusal}"
        except DraftConflict as conflict:
            self.saved, self.conflict = None, conflict

    def launch(self) -> Campaign | None:
        """Launch the campaign once. Return ``None`` if that is refused; the page then shows why."""
        assert self.saved is not None
        if self.saved.campaign is not None:
            return self.saved.campaign
        if self.sketch.problems or self.wrong_images or not self._as_told():
            return None
        try:
            campaign, self.bought = launch.launch_draft(
                self.saved, plan.finished(self.sketch), at=self.at, actor=self.owner.username
            )
        except (LaunchRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, IntakeRefused) as refusal:
            self.refusal = f"Nothing was launched. {refusal}"
            return None
        return campaign

    @property
    def count_words(self) -> str:
        planned = plan.finished(self.sketch)
        count, medium, on_hold = len(planned.to_buy), planned.model.medium, planned.on_hold
        if planned.still:
            return f"{_queued(count, 'still')}. {medium.capitalize()}s wait for your approval"
        return _queued(count - on_hold, medium) + (f", {on_hold:,} on hold" if on_hold else "")

    def context(self) -> dict[str, Any]:
        """Return the content of the page and of the preview."""
        body, sketch = self.asked.body, self.sketch
        notes = fields.notes(sketch, body, strict=self.asked.do == "launch")
        notes.errors |= self.wrong_images
        priced = sketch.plan if sketch.plan and sketch.plan.to_buy else None
        panel = Panel(self.owner, self.saved, body, sketch.checker, self.offered, at=self.at, refusal=self.not_polished)
        return {
            **panel.context(self.asked.seen),
            "chosen": self.asked.do in polishing.CHOICES,
            "pressed_polish": self.asked.do.startswith("polish"),
            "asked": self.asked,
            "at": self.at,
            "body": body,
            "exclude": json.dumps(body["exclude"]),
            "revision": self.saved.revision if self.saved else self.asked.revision,
            "saved": self.saved,
            "conflict": self.conflict,
            "other": self._other(),
            "refusal": self.refusal,
            "notes": notes,
            "field_notes": [(name, notes.errors.get(name, ()), notes.warnings.get(name, ())) for name in NOTED],
            "model": self.model,
            "hold": holds.of_models([self.model.key], at=self.at).get(self.model.key) if self.model else None,
            **self._production(notes),
            "rendered": self.rendered,
            "follows": self.asked.rendered_model != self.rendered or bool(self.followed),
            "followed": self.followed,
            "dimensions": fields.dimensions(sketch, body, notes),
            "sketch": sketch,
            "formula": " × ".join(str(len(one.values)) for one in sketch.choices) if len(sketch.choices) > 1 else "",
            "too_many": sketch.too_many,
            "matrix": Matrix(sketch, self.asked),
            "sample": marked(sketch.sample, sketch),
            "outlook": estimates.look(priced, self.owner, at=self.at) if priced else None,
            "shows": SHOWS,
            "starts": fields.start_options(body, sketch.plan, self.model, self.offered),
            "preview_url": reverse("campaigns:new-preview"),
        }

    def page(self) -> dict[str, Any]:
        """Return the content of the whole page, with a new mark that tells its saves from those of other tabs."""
        context = self.context()
        first, more = fields.folded(context["dimensions"])
        return context | {
            "asked": replace(self.asked, tab=uuid.uuid4().hex),
            "models": fields.models(self.asked.body, self.offered),
            "brands": fields.brands(),
            "priorities": fields.priorities(self.asked.body, self.owner),
            "still_models": fields.still_models(self.asked.body, self.offered),
            "dimensions_first": first,
            "dimensions_more": more,
            "more_open": any(one.chosen for one in more),
        }

    def _production(self, notes: fields.Notes) -> dict[str, Any]:
        """Return the fields of the model's parameters: the first row, the folded ones, and the images."""
        if self.choices is None:
            return {"main": [], "more": [], "images": [], "options_open": False, "carried": self.typed.inputs}
        main, more = parameters.folded(parameters.fields(self.choices, self.typed, notes.errors))
        shown = parameters.image_fields(self.choices, self.typed, self.owner, notes.errors)
        is_open = parameters.is_more_open(more, shown, self.choices, notes.errors)
        return {"main": main, "more": more, "images": shown, "options_open": is_open}

    def _sketched(self) -> Sketch:
        """Return the sketch, after a button of the matrix has excluded or included cells."""
        sketch = plan.sketch(forms.brief(self.asked.body), self.owner, self.offered, self.ways)
        changed = Matrix(sketch, self.asked).excluded_by(self.asked.do)
        if changed is None:
            return sketch
        self.asked.body["exclude"] = changed
        return plan.sketch(forms.brief(self.asked.body), self.owner, self.offered, self.ways)

    def _as_told(self) -> bool:
        """Whether the button named the current count and price. If not, set the message for the page."""
        planned = plan.finished(self.sketch)
        now = (len(planned.to_buy), planned.tickets)
        if self.asked.told in (None, now):
            return True
        videos, price = counted(now[0], planned.model.medium), counted(now[1], "ticket")
        self.refusal = f"Not launched yet: the campaign now has {videos} for {price}. Press Launch again to confirm."
        return False

    def _other(self) -> str:
        """Return the draft that “Keep this version” replaces: the open one, or a new one. Empty without a conflict."""
        if self.conflict is None:
            return ""
        other = self.conflict.other
        return f"{other.pk}:{other.revision}" if other else f"{uuid.uuid4()}:0"


def _queued(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'} queued"
