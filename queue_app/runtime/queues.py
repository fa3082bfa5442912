"""The queues of tasks, each with a cluster of its own: their names, and their settings as the cluster will see them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.conf import settings


class Queue(StrEnum):
    """`default`: submit and check, short. `store`: download and derive. `deliver`: facts going out."""

    DEFAULT = "default"
    STORE = "store"
    DELIVER = "deliver"

    @property
    def cluster(self) -> str:
        """
        The name that django-q2 knows it by. It is always said: inside a cluster an unnamed queue would be that cluster's own,
        and ``qcluster -n`` silently runs the default one, so ``Q_CLUSTER_NAME`` says it there.
        """
        return str(settings.Q_CLUSTER["name"]) if self is Queue.DEFAULT else self.value

    @property
    def conf(self) -> Mapping[str, Any]:
        """The settings of its cluster: the common ones, and its own over them."""
        return {**settings.Q_CLUSTER, **settings.Q_CLUSTER["ALT_CLUSTERS"].get(self.value, {})}

    @property
    def task_seconds(self) -> int:
        """How long a task of this queue may run."""
        return int(self.conf["timeout"])
