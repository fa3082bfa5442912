"""The polishing of the big idea, as the campaign form shows it under the field."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.template.loader import render_to_string

from campaigns import polishing
from campaigns.brief import text_problem
from campaigns.drafts import Body
from campaigns.models import Draft
from campaigns.polishing import FIELD, Polishing
from campaigns.rules import compliance
from campaigns.views import fields
from campaigns.views.matrix import Pieces
from queue_app.insight import waiting
from queue_app.insight.waiting import Outlook
from queue_app.models import GenerationModel, Job, User
from queue_app.ui import fragments, holds

TEMPLATE = "campaigns/_polish.html"


@dataclass(frozen=True)
class Suggestion:
    """A polished wording with the verdict of the compliance rules. ``errors`` have to be corrected before a launch."""

    pieces: Pieces
    level: str
    errors: list[str]
    warnings: list[str]
    is_same: bool
    """Whether the model has changed nothing."""

    @classmethod
    def of(cls, wording: str, sent: str, checker: compliance.Checker) -> "Suggestion":
        too_long = text_problem(FIELD, wording)
        verdict = compliance.CLEAR if too_long else checker.check(wording)
        hits = fields.once(verdict.hits)
        return cls(
            pieces=compliance.marked(wording, [hit for hit in verdict.hits if hit.matched]),
            level=verdict.level,
            errors=[*([too_long] if too_long else []), *(hit.advice for hit in hits if hit.rule.severity == "block")],
            warnings=[hit.advice for hit in hits if hit.rule.severity == "warn"],
            is_same=wording == sent.strip(),
        )


class Panel:
    """
    What stands under the field: the button with its price, why the job waits, the wording that came back, a failure, and the way
    back. ``body`` is what the page shows; ``draft`` has what is remembered.
    """

    def __init__(
        self,
        owner: User,
        draft: Draft | None,
        body: Body,
        checker: compliance.Checker,
        offered: Mapping[str, GenerationModel],
        *,
        at: datetime,
        refusal: str = "",
    ):
        self.at, self.refusal = at, refusal
        self._text, self._checker = body[FIELD], checker
        self.model = polishing.writer(offered, owner)
        self.tickets = polishing.price(self.model) if self.model else 0
        self.now = Polishing.of(draft.body) if draft else None
        self.job: Job | None = None
        if self.now is not None and not self.now.polished:
            assert draft is not None
            self.job = Job.objects.select_related("model", "kind").get(pk=self.now.job)
            self.now = Polishing.of(polishing.read(draft, self.job, at=at).body)

    @property
    def job_number(self) -> int | None:
        return self.now.job if self.now else None

    @property
    def is_preview(self) -> bool:
        """Whether the studio has written the wording."""
        return bool(self.now and self.now.preview)

    @property
    def is_open(self) -> bool:
        """Whether a polishing waits or runs."""
        return self.job is not None and self.job.is_open

    @property
    def has_failed(self) -> bool:
        """Whether the polishing of the text in the field has failed or was cancelled."""
        now = self.now
        return bool(self.job and now and not self.is_open and not now.polished and now.sent == self._text)

    @cached_property
    def suggestion(self) -> Suggestion | None:
        now = self.now
        return Suggestion.of(now.polished, now.sent, self._checker) if now and now.polished and not now.choice else None

    @property
    def is_outdated(self) -> bool:
        """Whether the text in the field is no longer the one that was polished."""
        return self.now is not None and self.now.sent != self._text

    @property
    def mine(self) -> str:
        """The creative's own wording, while a polished one is in its place."""
        return (self.now and self.now.mine) or ""

    @property
    def can_go_back(self) -> bool:
        return self.now is not None and self.now.mine not in (None, self._text)

    @property
    def is_known(self) -> bool:
        """Whether the text in the field has been polished, so that its wording can be shown again without a new job."""
        return bool(self.now and self.now.polished and not self.is_outdated)

    @property
    def has_button(self) -> bool:
        in_use = self.now is not None and self.now.choice == "polished" and self.now.polished == self._text
        return bool((self.model or self.is_known) and not self.is_open and not self.suggestion and not in_use)

    @cached_property
    def _outlook(self) -> Outlook:
        return waiting.outlook([self.job] if self.job else [], at=self.at, share=True)

    @property
    def why(self) -> str:
        """Why its job waits, in the words of the job's page; empty once it has started."""
        if self.job is None:
            return ""
        limits = holds.of_job(self.job, self._outlook, self.at, group="batch")
        lead = holds.lead(self.job, limits, self._outlook, self.at, group="batch")
        return lead.words if lead else ""

    @cached_property
    def token(self) -> str:
        """The version of what is shown."""
        return fragments.token_of(render_to_string(TEMPLATE, {"polish": self}))

    def context(self, seen: str) -> dict[str, Any]:
        """Return the content of the templates. ``seen`` is the token that the browser has."""
        return {"polish": self, "polish_token": self.token, "polish_changed": seen != self.token}
