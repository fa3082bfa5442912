#!/usr/bin/env python
"""Genqueue's command line; `make run` and `make test` are the two that do everything."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # it says what to mend; a traceback above it would only hide that
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(error) or repr(error))


if __name__ == "__main__":
    main()
