"""Settings of the benchmarked processes: the product's own, and one more adapter that needs no network."""

import os

os.environ.setdefault("ALLOW_STUDIO", "1")

from genqueue_site.settings import *  # noqa: F403
from genqueue_site.settings import INSTALLED_APPS

INSTALLED_APPS += ["benchmarks.apps.BenchmarksConfig"]
