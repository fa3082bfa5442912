"""Access of users to campaigns, jobs and pages. Those of another user are 404, as if they did not exist."""

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from campaigns.models import Campaign, Page
from queue_app.models import Batch, Job
from queue_app.ui.access import viewer
from queue_app.work.roles import Right


def campaign_seen_by(request: HttpRequest, pk: int) -> Campaign:
    """
    Return a campaign that this user may see.

    :raises Http404: there is none that this user may see (I35).
    """
    reachable = Campaign.objects.of(viewer(request)).select_related("batch__owner", "brand", "model")
    return get_object_or_404(reachable, pk=pk)


def campaign_to_change(request: HttpRequest, pk: int) -> Campaign:
    """
    Return a campaign that this user may change.

    :raises Http404: as `campaign_seen_by`.
    :raises PermissionDenied: the user may see it but not change it.
    """
    campaign = campaign_seen_by(request, pk)
    _must_be_allowed(request, campaign.batch.owner_id)
    return campaign


def job_seen_by(request: HttpRequest, pk: int) -> Job:
    """
    Return a job that this user may see.

    :raises Http404: there is none that this user may see (I35).
    """
    reachable = Job.objects.of(viewer(request)).select_related("owner", "batch", "model", "kind")
    return get_object_or_404(reachable, pk=pk)


def job_to_change(request: HttpRequest, pk: int) -> Job:
    """
    Return a job that this user may change.

    :raises Http404: as `job_seen_by`.
    :raises PermissionDenied: the user may see it but not change it.
    """
    job = job_seen_by(request, pk)
    _must_be_allowed(request, job.owner_id)
    return job


def page_seen_by(request: HttpRequest, job: int) -> Page:
    """
    Return a page, by the number of its job, that this user may see.

    :raises Http404: there is none that this user may see (I35).
    """
    reachable = Page.objects.filter(job__in=Job.objects.of(viewer(request)))
    known = reachable.select_related("job__owner", "job__batch", "job__model", "job__kind", "decided_by")
    return get_object_or_404(known, pk=job)


def page_to_change(request: HttpRequest, job: int) -> Page:
    """
    Return a page that this user may change.

    :raises Http404: as `page_seen_by`.
    :raises PermissionDenied: the user may see it but not change it.
    """
    page = page_seen_by(request, job)
    _must_be_allowed(request, page.owner_id)
    return page


def page_batch_seen_by(request: HttpRequest, pk: int) -> Batch:
    """
    Return a batch with pages in it that this user may see.

    :raises Http404: there is none that this user may see (I35).
    """
    pages = Page.objects.filter(job__batch=OuterRef("pk"))
    return get_object_or_404(Batch.objects.of(viewer(request)).filter(Exists(pages)).select_related("owner"), pk=pk)


def page_batch_to_change(request: HttpRequest, pk: int) -> Batch:
    """
    Return a batch with pages in it that this user may change.

    :raises Http404: as `page_batch_seen_by`.
    :raises PermissionDenied: the user may see it but not change it.
    """
    batch = page_batch_seen_by(request, pk)
    _must_be_allowed(request, batch.owner_id)
    return batch


def may_change(request: HttpRequest, owner_id: int) -> bool:
    """Whether the user is the owner, or staff who operate the queue."""
    return owner_id == request.user.pk or request.user.has_perm(Right.OPERATE)


def _must_be_allowed(request: HttpRequest, owner_id: int) -> None:
    if not may_change(request, owner_id):
        raise PermissionDenied("This belongs to another user. Only the owner or queue operators can change it.")
