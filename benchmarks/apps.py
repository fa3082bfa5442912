from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"

    def ready(self) -> None:
        from benchmarks.instant import Instant
        from queue_app.providers import registry

        registry.ADAPTERS["instant"] = Instant
