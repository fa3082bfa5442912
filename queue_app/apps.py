from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "queue_app"
    verbose_name = "Queue"

    def ready(self) -> None:
        from queue_app import checks  # noqa: F401 - importing registers them
        from queue_app.runtime import heartbeats

        heartbeats.connect()
