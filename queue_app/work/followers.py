"""
Applications above the queue that keep what follows from its rows. The settings name them: ``FOLLOWERS``, and in ``SWEEPS`` those
that look for something in every sweep.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def tell(what: str, pk: int, changed: Mapping[str, Any]) -> None:
    """Tell them, in the transaction of the change, which values of a row are others now. What they raise refuses the change."""
    for path in settings.FOLLOWERS[what]:
        import_string(path)(pk, changed)


def look(*, at: datetime) -> None:
    """Let them look for what follows from rows that no call tells them of, such as failures. They find nothing at little cost."""
    for path in settings.SWEEPS:
        import_string(path)(at=at)
