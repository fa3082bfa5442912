"""Brands, and compliance rules for prompts."""

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower

from campaigns.rules import compliance
from queue_app.models import User
from queue_app.rules.words import one_line


class BrandQuerySet(models.QuerySet["Brand"]):
    def named(self, name: str) -> "Brand | None":
        """Return the brand with this name, ignoring case, or ``None``. Uses the expression of the unique constraint."""
        return self.annotate(called=Lower("name")).filter(called=Lower(models.Value(name))).first()

    def of(self, user: User) -> "BrandQuerySet":
        """Return the brands that this user has campaigns of; for staff all."""
        return self if user.is_staff else self.filter(campaigns__batch__owner=user).distinct()

    def make(self, name: str) -> "Brand":
        """Return the brand with this name, created if it is new. Waits for a concurrent transaction that creates it."""
        self.bulk_create([Brand(name=name)], ignore_conflicts=True)
        brand = self.named(name)
        assert brand is not None  # created above, or the row that it conflicted with
        return brand


class Brand(models.Model):
    name = models.CharField(max_length=100)
    voice = models.CharField(max_length=500, blank=True, help_text="The brand's voice in one sentence. Added to every prompt.")

    objects = BrandQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="brand_named_once", violation_error_message="A brand with this name already exists."
            )
        ]

    def __str__(self) -> str:
        return one_line(self.name)


class ComplianceRule(models.Model):
    """A text that prompts must not contain, for one brand or for all."""

    class Kind(models.TextChoices):
        TERM = "term", "term: matches these words, ignoring case and accents"
        PATTERN = "pattern", "pattern: regular expression"

    class Severity(models.TextChoices):
        BLOCK = "block", "block: not generated"
        WARN = "warn", "warn: generated with a warning"

    name = models.CharField(max_length=100)
    brand = models.ForeignKey(
        Brand, null=True, blank=True, on_delete=models.CASCADE, related_name="rules", help_text="Leave empty for all brands."
    )
    kind = models.CharField("type", max_length=10, choices=Kind.choices, default=Kind.TERM)
    pattern = models.CharField("term or pattern", max_length=300)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.BLOCK)
    reason = models.CharField(max_length=300)
    instead = models.CharField("suggested replacement", max_length=300, blank=True)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return one_line(self.name)

    def clean(self) -> None:
        problem = (compliance.pattern_problem if self.kind == self.Kind.PATTERN else compliance.term_problem)(self.pattern)
        if problem:
            raise ValidationError({"pattern": problem})

    def as_rule(self) -> compliance.Rule:
        return compliance.Rule(
            id=self.pk,
            name=self.name,
            kind="pattern" if self.kind == self.Kind.PATTERN else "term",
            pattern=self.pattern,
            severity="block" if self.severity == self.Severity.BLOCK else "warn",
            reason=self.reason,
            instead=self.instead,
            brand=self.brand.name if self.brand else None,
        )
