"""
Pages: what was asked for, what the checks say, what a person decided; the catalogue that pages take their data from; and forms
of pages in progress.
"""

import uuid
from hashlib import md5
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import MD5

from queue_app.models import Job, State
from queue_app.models.fields import InOrderField


class Approval(models.TextChoices):
    """What the checks of a page add up to, or what a person says instead."""

    NONE = "", "not checked"
    APPROVE = "approve", "approved"
    REVIEW = "review", "needs review"
    REJECT = "reject", "rejected"


class PageQuerySet(models.QuerySet["Page"]):
    def at(self, *urls: str) -> Self:
        """Filter to pages for these target URLs, by their index."""
        hashed = [md5(url.encode(), usedforsecurity=False).hexdigest() for url in urls]
        return self.alias(url_hash=MD5("target_url")).filter(url_hash__in=hashed, target_url__in=urls)

    def with_review(self) -> Self:
        """Annotate ``review``, which is `Page.standing`: the decision, or else the verdict of the checks."""
        return self.annotate(review=Case(When(decision="", then=F("verdict")), default=F("decision")))

    def reviewed(self, review: str) -> Self:
        """Filter to the completed pages with this review, an `Approval`."""
        return self.with_review().filter(Q(review=review), job__state=State.COMPLETED)


class Page(models.Model):
    """
    A page of its job's owner. Pages of one owner, target URL and language are versions of one another.

    ``verdict`` is that of the checks; a person's ``decision`` counts instead. ``signature`` and ``bands`` are for finding pages
    with similar text (`pages.quality.likeness`).
    """

    job = models.OneToOneField(Job, primary_key=True, on_delete=models.PROTECT, related_name="page")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    metadata = InOrderField(help_text="What is asked for, as the job's metadata, with attributes in the order of the request.")
    page_type = models.CharField(max_length=12)
    target_url = models.CharField(max_length=2000)
    language = models.CharField(max_length=5)
    title = models.CharField(max_length=200, help_text="Main keyword, or the headline once it is written.")
    version = models.PositiveIntegerField(help_text="1 for the first page of this owner, target URL and language, then 2, 3, …")
    verdict = models.CharField(max_length=8, choices=Approval.choices, blank=True)
    checks_failed = models.PositiveSmallIntegerField(default=0)
    decision = models.CharField(max_length=8, choices=Approval.choices, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True)
    signature = ArrayField(models.BigIntegerField(), default=list)
    bands = ArrayField(models.BigIntegerField(), default=list)

    objects = PageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(decision="review"), name="page_decision_decides"),
            models.CheckConstraint(condition=Q(decision="") | Q(decided_at__isnull=False), name="page_decision_has_a_time"),
        ]
        indexes = [
            # hashed, since addresses are longer than what an index row holds
            models.Index(F("owner"), MD5("target_url"), F("language"), name="page_versions"),
            models.Index(fields=["owner", "-job"], name="page_of_owner"),
            GinIndex(fields=["bands"], name="page_bands"),
        ]

    def __str__(self) -> str:
        return f"page of job {self.job_id}"

    @property
    def standing(self) -> str:
        """Return the decision, or else the verdict of the checks."""
        return self.decision or self.verdict


class CatalogueRow(models.Model):
    """A product in its owner's catalogue: the data that pages about it are written from."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sku = models.CharField("SKU", max_length=80)
    name = models.CharField(max_length=200)
    data = InOrderField(default=dict, help_text="The product as pages take it: price, currency, attributes, …")
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "sku"], name="catalogue_row_once")]

    def __str__(self) -> str:
        return f"{self.sku} {self.name}"


class PageDraft(models.Model):
    """
    A form of pages in progress, saved at every change: of one page, or of many from a CSV. Its id is also the key of its launch:
    once its pages are queued it says what it became, however often the form is sent again.
    """

    class Form(models.TextChoices):
        ONE = "one", "one page"
        MANY = "many", "many from CSV"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    form = models.CharField(max_length=4, choices=Form.choices)
    body = models.JSONField(default=dict, help_text="The fields as typed; once its pages are queued, only their hash.")
    updated_at = models.DateTimeField()
    made = models.BigIntegerField(null=True, help_text="The job or the batch that it became.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "form"], condition=Q(made=None), name="page_draft_one_open_per_form"),
        ]

    def __str__(self) -> str:
        return f"Draft of {self.get_form_display()}"
