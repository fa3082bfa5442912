from queue_app.runtime.qcluster import Command

__all__ = ["Command"]
