"""Dimensions and their values. Staff add, rename, reorder and retire them; existing campaigns keep their keys."""

from django.core.validators import RegexValidator
from django.db import models

from queue_app.rules.words import one_line

KEY = RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use lowercase letters, digits, - and _. Keys can't be changed later.")


class DimensionQuerySet(models.QuerySet["Dimension"]):
    def offered(self) -> "DimensionQuerySet":
        """Return the dimensions that a new campaign may use, in order."""
        return self.filter(retired=False).order_by("position", "id")

    def with_values(self) -> "DimensionQuerySet":
        """Load the values that a new campaign may use, in order."""
        offered = DimensionValue.objects.filter(retired=False).order_by("position", "id")
        return self.prefetch_related(models.Prefetch("values", offered))


class Dimension(models.Model):
    key = models.CharField(max_length=60, unique=True, validators=[KEY])
    label = models.CharField(max_length=100)
    prompt_label = models.CharField(
        max_length=60,
        blank=True,
        help_text="Starts this part of the prompt, such as “Style”. Dimensions with the same label are merged.",
    )
    position = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False, help_text="Hidden from new campaigns. Existing campaigns keep it.")

    objects = DimensionQuerySet.as_manager()

    def __str__(self) -> str:
        return one_line(self.label)


class DimensionValue(models.Model):
    dimension = models.ForeignKey(Dimension, on_delete=models.CASCADE, related_name="values")
    key = models.CharField(max_length=60, validators=[KEY])
    label = models.CharField(max_length=100, help_text="Shown to users and used in the prompt.")
    position = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False, help_text="Hidden from new campaigns. Existing campaigns keep it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dimension", "key"],
                name="value_once_per_dimension",
                violation_error_message="This dimension already has this value.",
            )
        ]

    def __str__(self) -> str:
        return one_line(self.label)
