"""Settings of the benchmarked processes: the product's, plus an adapter that needs no network."""

import os

os.environ.setdefault("ALLOW_STUDIO", "1")

from genqueue_site.settings import *  # noqa: F403
from genqueue_site.settings import INSTALLED_APPS

INSTALLED_APPS += ["benchmarks.apps.BenchmarksConfig"]
