"""The queue in the admin: what staff see and which verbs they may call. State and money are shown, never edited (I39)."""

from queue_app.admin import alerts, audit, batches, bulk, catalog, jobs, money, people, review

__all__ = ["alerts", "audit", "batches", "bulk", "catalog", "jobs", "money", "people", "review"]
