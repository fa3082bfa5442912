"""Worker processes, as of their last heartbeat."""

from django.db import models

LONG_QUEUE, ALIVE_SECONDS = "long", 10
# workers of long calls with a heartbeat within the last seconds
LONG_WORKERS = f"""
    SELECT count(*) FROM queue_app_workerprocess
     WHERE role = 'worker' AND queue = '{LONG_QUEUE}'
       AND beat_at > %(at)s::timestamptz - make_interval(secs => {ALIVE_SECONDS})
"""  # noqa: S608 - no value in it


class WorkerProcess(models.Model):
    """
    One process of a `runworker`: the dispatcher, a queue's cluster, or a worker in it. A cluster and its workers form one
    process group, which is killed as a whole.
    """

    class Role(models.TextChoices):
        DISPATCHER = "dispatcher"
        CLUSTER = "cluster"
        WORKER = "worker"

    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField("PID")
    role = models.CharField(max_length=12, choices=Role.choices)
    queue = models.CharField(max_length=40, blank=True)
    group_id = models.PositiveIntegerField(help_text="Process group.")
    group_started = models.CharField(max_length=40, help_text="Kernel start time of the group leader. Detects reused IDs.")
    leader = models.BooleanField(default=False, help_text="The active dispatcher among all workers.")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    turned_at = models.DateTimeField(null=True, help_text="When the active dispatcher last completed a full round.")
    task = models.CharField(max_length=100, blank=True, help_text="Current task.")
    task_until = models.DateTimeField(null=True, help_text="When the time limit of this task ends.")
    canary_taken_at = models.DateTimeField(null=True, help_text="When a test task last succeeded.")

    class Meta:
        verbose_name_plural = "worker processes"
        constraints = [models.UniqueConstraint(fields=["host", "pid", "role"], name="worker_process_once")]

    def __str__(self) -> str:
        return f"{self.role} {self.queue} {self.pid}@{self.host}"

    @property
    def name(self) -> str:
        """Return the name under which the process holds leases."""
        return self.name_of(self.host, self.pid, self.group_started)

    @staticmethod
    def name_of(host: str, pid: int, group_started: str) -> str:
        """
        Return a name that no other process ever has.

        A pid may be reused, but not while a process of its group lives, and the next group has another start time.
        """
        return f"{host}:{pid}:{group_started}"
