"""What jobs are called on the pages of their owners: a job of a campaign by its combination, another one by its prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from campaigns import cells
from campaigns.models import Campaign, Version
from queue_app.models import Job
from queue_app.rules.words import one_line

PROMPT_MOST = 90  # characters
IN_FRONT = 2  # values in the first line of a name
PAGE = "page"  # the job type


@dataclass(frozen=True)
class JobName:
    """
    The name of a job in two lines. For a job of a campaign, ``campaign`` and ``index`` name its combination, and ``review`` is
    that of the combination if this is its version that counts.
    """

    head: str
    rest: str = ""
    campaign: int | None = None
    campaign_name: str = ""
    index: int = 0
    review: str = ""
    counts: bool = False


def view_of(job: Job) -> str:
    """Return the name of a job's own page: a page that is written has one with its stages and its preview."""
    return "campaigns:written" if job.kind_id == PAGE else "campaigns:job"


def address(job: Job) -> str:
    """Return the address of a job's own page."""
    return reverse(view_of(job), args=[job.pk])


def in_two_lines(words: Sequence[str]) -> tuple[str, str]:
    """Return “UGC · Inspire” and “Most aware, women”. A name with capitals of its own keeps them: “Millennials, LGBTQ”."""
    first, *others = words[IN_FRONT:] or [""]
    return " · ".join(words[:IN_FRONT]), ", ".join([first, *map(_within_sentence, others)])


def _within_sentence(label: str) -> str:
    return label if label[1:] != label[1:].lower() else label.lower()


def of_jobs(jobs: Iterable[Job]) -> dict[int, JobName]:
    """Return the names of these jobs, by job. Two queries."""
    listed = list(jobs)
    columns = ("job", "combination__campaign", "combination__index", "combination__values", "combination__review")
    found = Version.objects.filter(job__in=[job.pk for job in listed]).values_list(*columns, "combination__job")
    versions = {row[0]: row[1:] for row in found}
    campaigns = Campaign.objects.only("name", "dimensions", "labels").in_bulk({row[0] for row in versions.values()})
    names = {}
    for job in listed:
        if job.pk not in versions:
            names[job.pk] = JobName(job.label or one_line(job.prompt)[:PROMPT_MOST])  # a still has a label
            continue
        campaign, index, values, review, counted = versions[job.pk]
        head, rest = in_two_lines(cells.told(values, campaigns[campaign].dimensions, campaigns[campaign].labels))
        counts = counted == job.pk
        found_review = review if counts else ""
        names[job.pk] = JobName(head, rest, campaign, campaigns[campaign].name, index, found_review, counts)
    return names
