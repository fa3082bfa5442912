"""The axes of the matrix. Staff add, rename, reorder and retire them; old campaigns keep the keys that they were made with."""

from django.core.validators import RegexValidator
from django.db import models

from queue_app.rules.words import one_line

KEY = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*$", "A key is of small letters, digits, - and _, and never changes: campaigns keep it."
)


class DimensionQuerySet(models.QuerySet["Dimension"]):
    def offered(self) -> "DimensionQuerySet":
        """What a new campaign may choose from, in order."""
        return self.filter(retired=False).order_by("position", "id")


class Dimension(models.Model):
    key = models.CharField(max_length=60, unique=True, validators=[KEY])
    label = models.CharField(max_length=100)
    prompt_label = models.CharField(
        max_length=60,
        blank=True,
        help_text="Opens its part of the prompt, such as “Style”. Dimensions with the same one share a part.",
    )
    position = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False, help_text="No longer offered; old campaigns keep it.")

    objects = DimensionQuerySet.as_manager()

    def __str__(self) -> str:
        return one_line(self.label)


class DimensionValue(models.Model):
    dimension = models.ForeignKey(Dimension, on_delete=models.CASCADE, related_name="values")
    key = models.CharField(max_length=60, validators=[KEY])
    label = models.CharField(max_length=100, help_text="What people read and what the prompt says.")
    position = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False, help_text="No longer offered; old campaigns keep it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dimension", "key"],
                name="value_once_per_dimension",
                violation_error_message="This dimension has such a value.",
            )
        ]

    def __str__(self) -> str:
        return one_line(self.label)
