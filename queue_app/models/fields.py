"""Fields of models."""

import json
from typing import Any

from django.db import models


class InOrderField(models.JSONField):
    """JSON that keeps the order of an object's keys, which PostgreSQL's `jsonb` does not."""

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else json.dumps(value)  # Django's own would go through `jsonb`

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value  # psycopg2 has read it
