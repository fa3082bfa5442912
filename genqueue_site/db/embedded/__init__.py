"""An embedded PostgreSQL server for machines without one, started or joined at the first connection."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server is not available. The message says why and what to do."""
