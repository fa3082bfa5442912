"""Results side by side, each with its picture, its name and its time: the newest of a campaign or of a user."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from campaigns import cells, job_names, status_map
from campaigns.cells import LaunchedCell
from campaigns.job_names import JobName
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.pictures import GONE, Picture
from queue_app.models import Job, State


@dataclass(frozen=True)
class Shown:
    """One result of a strip. ``head`` and ``rest`` are its name in two lines; ``note`` stands in place of its time ``at``."""

    id: str
    href: str
    play: str
    picture: Picture
    head: str
    rest: str
    at: datetime | None
    review: str = ""
    is_new: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        return ", ".join(filter(None, [self.head, self.rest]))

    @property
    def mark(self) -> str:
        return status_map.MARKS.get(Review(self.review), "")


def of_cell(campaign: Campaign, cell: LaunchedCell, pictures: Mapping[int, Picture], *, winners: bool) -> Shown:
    """Return a completed combination of a campaign, for the campaign's own page."""
    head, rest = job_names.in_two_lines(cells.told(cell.values, campaign.dimensions, campaign.labels))
    return Shown(
        id=f"new-{cell.index}",
        href=reverse("campaigns:watch", args=[campaign.pk, cell.index]),
        play=reverse("campaigns:play", args=[cell.job]),
        picture=pictures.get(cell.job or 0, GONE),
        head=head,
        rest=rest,
        at=cell.ended_at,
        review=cell.review,
        is_new=not cell.review,
        note="Winner" if winners else "",
    )


def of_job(job: Job, name: JobName, picture: Picture) -> Shown:
    """Return a completed job of a user, for a page with jobs of any campaign or of none."""
    in_campaign = name.campaign is not None and name.counts and job.state == State.COMPLETED
    return Shown(
        id=f"result-{job.pk}",
        href=reverse("campaigns:job", args=[job.pk]),
        play=reverse("campaigns:play", args=[job.pk]),
        picture=picture,
        head=name.head,
        rest=name.rest or name.campaign_name or job.model_id,
        at=job.ended_at,
        review=name.review,
        is_new=in_campaign and not name.review,
    )
