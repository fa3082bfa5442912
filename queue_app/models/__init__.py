"""Models: fields, constraints and QuerySets. Rules live in `rules/`, verbs in `work/`, `lifecycle` and `tickets`."""

from queue_app.models.account import ApiKey, CallRate, IdempotencyRecord, User
from queue_app.models.alert import Alert, AlertRule
from queue_app.models.asset import Asset
from queue_app.models.audit import AuditEntry
from queue_app.models.budget import TicketBudget
from queue_app.models.bulk import BulkAction, BulkRefusal
from queue_app.models.catalog import GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount
from queue_app.models.forecast import PastForecast
from queue_app.models.job import Attempt, Batch, CostSource, HeldFor, Job, JobEvent, JobStage, Outcome, ReviewItem, State, Status
from queue_app.models.outbox import CallbackSecret, DeliveryTry, Notice, OutboxMessage, OutgoingEvent, WebhookEndpoint
from queue_app.models.schedule import Schedule, ScheduleRun
from queue_app.models.settings import QueueSettings
from queue_app.models.ticket import LedgerEntry, LedgerTransaction, Reservation, Wallet
from queue_app.models.turn import Round, Turn
from queue_app.models.upload import Upload
from queue_app.models.webhook import InboundWebhook
from queue_app.models.worker import WorkerProcess

__all__ = [
    "Alert",
    "AlertRule",
    "ApiKey",
    "Asset",
    "Attempt",
    "AuditEntry",
    "Batch",
    "BulkAction",
    "BulkRefusal",
    "CallRate",
    "CallbackSecret",
    "CostSource",
    "DeliveryTry",
    "GenerationModel",
    "HeldFor",
    "IdempotencyRecord",
    "InboundWebhook",
    "Job",
    "JobEvent",
    "JobStage",
    "Kind",
    "LedgerEntry",
    "LedgerTransaction",
    "ModelConcurrencyLimit",
    "ModelRoute",
    "Notice",
    "OutboxMessage",
    "Outcome",
    "OutgoingEvent",
    "PastForecast",
    "ProviderAccount",
    "QueueSettings",
    "Reservation",
    "ReviewItem",
    "Round",
    "Schedule",
    "ScheduleRun",
    "State",
    "Status",
    "TicketBudget",
    "Turn",
    "Upload",
    "User",
    "Wallet",
    "WebhookEndpoint",
    "WorkerProcess",
]
