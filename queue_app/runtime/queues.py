"""The task queues, each with its own cluster, and the settings that their clusters use."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.conf import settings


class Queue(StrEnum):
    """`default`: short tasks that submit, check and look up. `store`: downloads and stills. `deliver`: messages, bulk actions."""

    DEFAULT = "default"
    STORE = "store"
    DELIVER = "deliver"

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
