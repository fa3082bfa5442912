"""A task that does nothing."""

try:
    from django.tasks import task
except ImportError:  # Django 5.2 has it in a package of its own
    from django_tasks import task


@task()
def nothing() -> None:
    """Do nothing."""
