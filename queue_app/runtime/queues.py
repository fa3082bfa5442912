"""The task queues, each with its own cluster, and the settings that their clusters use."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.conf import settings
from django_q.conf import Conf

from queue_app.models.worker import LONG_QUEUE


class Queue(StrEnum):
    """
    `default`: short tasks that submit, check and look up. `long`: create calls that take as long as the generation. `store`:
    downloads and stills. `deliver`: messages, bulk actions, schedules.
    """

    DEFAULT = "default"
    LONG = LONG_QUEUE
    STORE = "store"
    DELIVER = "deliver"

    @classmethod
    def here(cls) -> "Queue":
        """Return the queue that this process works for; outside a cluster, the default one."""
        return next((queue for queue in cls if queue.cluster == Conf.CLUSTER_NAME), cls.DEFAULT)

    @property
    def cluster(self) -> str:
        """
        Return django-q2's name of the queue.

        Always pass it: within a cluster, a task without a queue name would go to that cluster. A cluster gets it by
        ``Q_CLUSTER_NAME``, since ``qcluster -n`` silently runs the default queue.
        """
        return str(settings.Q_CLUSTER["name"]) if self is Queue.DEFAULT else self.value

    @property
    def conf(self) -> Mapping[str, Any]:
        """Return the settings of its cluster: the common ones, overridden by its own."""
        return {**settings.Q_CLUSTER, **settings.Q_CLUSTER["ALT_CLUSTERS"].get(self.value, {})}

    @property
    def task_seconds(self) -> int:
        """Return the time limit of a task of this queue, in seconds."""
        return int(self.conf["timeout"])
