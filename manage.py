#!/usr/bin/env python
"""Genqueue's command line; `make run` and `make test` are the two that do everything."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
