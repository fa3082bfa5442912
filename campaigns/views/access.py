"""Who may see and who may change: a stranger is told that there is nothing."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from campaigns.models import Campaign
from queue_app.models import Job
from queue_app.ui.access import viewer
from queue_app.work.roles import Right


def campaign_seen_by(request: HttpRequest, pk: int) -> Campaign:
    """:raises Http404: there is none, or it is another account's (I35)."""
    reachable = Campaign.objects.of(viewer(request)).select_related("batch__owner", "brand", "model")
    return get_object_or_404(reachable, pk=pk)


def campaign_to_change(request: HttpRequest, pk: int) -> Campaign:
    """:raises Http404: as above. :raises PermissionDenied: staff who may look and not operate."""
    campaign = campaign_seen_by(request, pk)
    _must_be_allowed(request, campaign.batch.owner_id)
    return campaign


def job_seen_by(request: HttpRequest, pk: int) -> Job:
    """:raises Http404: there is none, or it is another account's (I35)."""
    reachable = Job.objects.of(viewer(request)).select_related("owner", "batch", "model", "kind")
    return get_object_or_404(reachable, pk=pk)


def job_to_change(request: HttpRequest, pk: int) -> Job:
    """:raises Http404: as above. :raises PermissionDenied: staff who may look and not operate."""
    job = job_seen_by(request, pk)
    _must_be_allowed(request, job.owner_id)
    return job


def may_change(request: HttpRequest, owner_id: int) -> bool:
    """Owners may, and staff who operate the queue."""
    return owner_id == request.user.pk or request.user.has_perm(Right.OPERATE)


def _must_be_allowed(request: HttpRequest, owner_id: int) -> None:
    if not may_change(request, owner_id):
        raise PermissionDenied("This belongs to another user. Only the owner or queue operators can change it.")
