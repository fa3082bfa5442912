"""One verb over many jobs, as a record: what was shown before it, when it starts, how far it is, what was refused."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from queue_app.models.account import User
from queue_app.models.job import Job
from queue_app.rules.numbers import counted


class BulkAction(models.Model):
    """
    Asked for by a member of staff. It is shown first (``draft``), starts some seconds after it was confirmed, and works through
    ``job_ids`` in order; ``worked`` of them are behind it, each exactly once.
    """

    class Verb(models.TextChoices):
        CANCEL = "cancel", "Cancel"
        RETRY = "retry", "Retry"
        PRIORITY = "set_priority", "Set priority"
        FRONT = "move_to_front", "Move to front"
        CLEAR = "clear_completed", "Clear"
        FORCE_FAIL = "force_fail", "Force-fail"
        REFUND = "refund", "Refund"

    class Phase(models.TextChoices):
        DRAFT = "draft", "Not confirmed"
        WAITING = "waiting", "Starts soon"
        RUNNING = "running"
        DONE = "done"
        UNDONE = "undone"
        ABORTED = "aborted", "Stopped"

    verb = models.CharField("action", max_length=20, choices=Verb.choices)
    phase = models.CharField("status", max_length=10, choices=Phase.choices, default=Phase.DRAFT)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    options = models.JSONField(default=dict, help_text="Options of the action, such as a priority or a number of tickets.")
    chosen = models.CharField("selection", max_length=300, help_text="How the jobs were selected.")
    job_ids = ArrayField(models.BigIntegerField())
    total = models.PositiveIntegerField()
    worked = models.PositiveIntegerField(default=0)
    results = models.JSONField(default=dict, help_text="Jobs by result.")
    created_at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True, help_text="A worker is working on it until then.")

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["starts_at"], name="bulk_due", condition=Q(phase__in=("waiting", "running")))]

    def __str__(self) -> str:
        jobs = counted(self.total, "job")
        said = {
            self.Verb.PRIORITY: "Set priority of {}",
            self.Verb.FRONT: "Move {} to the front",
            self.Verb.FORCE_FAIL: "Force-fail {}",
        }
        return said.get(self.Verb(self.verb), f"{self.get_verb_display()} {{}}").format(jobs)

    @property
    def is_over(self) -> bool:
        return self.phase in (self.Phase.DONE, self.Phase.UNDONE, self.Phase.ABORTED)


class BulkRefusal(models.Model):
    """A job of a bulk action that could not be done, and why."""

    action = models.ForeignKey(BulkAction, on_delete=models.CASCADE, related_name="refusals")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    why = models.CharField(max_length=300)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["action", "job"], name="bulk_refusal_once")]

    def __str__(self) -> str:
        return f"Job {self.job_id}: {self.why}"
