"""Enqueue no-op tasks; run as a module in the peers' environment."""

import sys

import django

django.setup()

from django_tasks_jobs import nothing  # noqa: E402

for _ in range(int(sys.argv[1])):
    nothing.enqueue()
