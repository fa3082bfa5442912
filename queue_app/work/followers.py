"""Applications above the queue that keep what follows from its rows. The settings name them: ``FOLLOWERS``."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def tell(what: str, pk: int, changed: Mapping[str, Any]) -> None:
    """Tell them, in the transaction of the change, which values of a row are others now. What they raise refuses the change."""
    for path in settings.FOLLOWERS[what]:
        import_string(path)(pk, changed)
