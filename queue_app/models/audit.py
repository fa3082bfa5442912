"""Audit log: one append-only row per change of a limit, pause, price, policy or permission."""

from django.db import models

from queue_app.models.account import User
from queue_app.rules.words import one_line


class AuditEntry(models.Model):
    at = models.DateTimeField(db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    target_model = models.CharField(max_length=80, blank=True, help_text="Model of the target, such as “queue_app.kind”.")
    target_pk = models.CharField(max_length=80, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["target_model", "target_pk", "-id"], name="audit_of_a_thing")]

    def __str__(self) -> str:
        return one_line(f"{self.actor_name}: {self.action} {self.target}")
