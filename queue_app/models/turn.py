"""Whose turn it is: how far each lane has come, and each account's next turn in it (`queue_app.turns`)."""

from django.db import models

from queue_app.models.account import User
from queue_app.models.catalog import GenerationModel


class Round(models.Model):
    """How far a lane, the queued jobs of one model and priority, has come: the latest round of which a job has started."""

    model = models.ForeignKey(GenerationModel, on_delete=models.CASCADE, related_name="+")
    priority = models.SmallIntegerField()
    reached = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "priority"], name="round_once")]

    def __str__(self) -> str:
        return f"{self.model_id} at {self.priority}"


class Turn(models.Model):
    """``next``: the round, and the part of it, in which an account's next job of a lane takes its turn."""

    model = models.ForeignKey(GenerationModel, on_delete=models.CASCADE, related_name="+")
    priority = models.SmallIntegerField()
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    next = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "priority", "owner"], name="turn_once")]

    def __str__(self) -> str:
        return f"{self.owner_id} in {self.model_id} at {self.priority}"
