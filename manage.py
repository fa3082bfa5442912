#!/usr/bin/env python
"""Genqueue's command line. `make run` and `make test` do everything."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # the message says what to fix; a traceback above it would only hide it
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(error) or repr(error))


if __name__ == "__main__":
    main()
