"""Addresses below ``/api/v1/``."""

from django.urls import path

from queue_app.api import batches, jobs, models, queue, wallet

app_name = "api"
urlpatterns = [
    path("jobs/", jobs.Jobs.as_view(), name="jobs"),
    path("jobs/batch/", jobs.JobsBatch.as_view(), name="jobs-batch"),
    path("jobs/<int:pk>/", jobs.JobDetail.as_view(), name="job"),
    path("jobs/<int:pk>/events/", jobs.JobEvents.as_view(), name="job-events"),
    path("jobs/<int:pk>/cancel/", jobs.CancelJob.as_view(), name="job-cancel"),
    path("jobs/<int:pk>/retry/", jobs.RetryJob.as_view(), name="job-retry"),
    path("batches/<int:pk>/", batches.BatchDetail.as_view(), name="batch"),
    path("batches/<int:pk>/cancel/", batches.CancelBatch.as_view(), name="batch-cancel"),
    path("batches/<int:pk>/pause/", batches.PauseBatch.as_view(), name="batch-pause"),
    path("batches/<int:pk>/resume/", batches.ResumeBatch.as_view(), name="batch-resume"),
    path("batches/<int:pk>/retry-failed/", batches.RetryBatch.as_view(), name="batch-retry-failed"),
    path("models/", models.Models.as_view(), name="models"),
    path("models/<str:key>/", models.ModelDetail.as_view(), name="model"),
    path("queue/", queue.Queue.as_view(), name="queue"),
    path("wallet/", wallet.WalletDetail.as_view(), name="wallet"),
    path("wallet/entries/", wallet.WalletEntries.as_view(), name="wallet-entries"),
]
