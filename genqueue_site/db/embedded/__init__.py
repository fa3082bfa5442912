"""A PostgreSQL server of our own, for machines without one: started or joined at the first connection."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be had; the message says why and what to do."""
