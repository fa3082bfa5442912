"""What the downloaded files of a campaign are called: its template, the fields that it may use, and the names that come of it."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from campaigns.models import Campaign, Combination, Version
from campaigns.rules import file_names
from queue_app.models import Asset, Batch, User
from queue_app.work import intake, policy

# field → what stands for it; the campaign's dimensions are fields too
FIELDS = {
    "number": "Number in the matrix, three digits",
    "campaign": "Name of the campaign",
    "brand": "Brand",
    "model": "Model",
    "ratio": "Aspect ratio, 16x9",
    "duration": "Length in seconds, 8s",
    "version": "Version, v2",
    "review": "Review: approved, winner",
    "job": "Number of the job",
}


class FileNamesRefused(Exception):
    """The template cannot be used; nothing was written. The message says why."""


def fields_of(campaign: Campaign) -> dict[str, str]:
    """Return the fields of a campaign's templates with what each stands for; its dimensions come first."""
    own = {key: str(campaign.labels.get(key, {}).get("label", key)) for key in campaign.dimensions}
    return {**own, **{name: words for name, words in FIELDS.items() if name not in own}}


def template_of(campaign: Campaign) -> str:
    """Return the campaign's template; its own, or else the default."""
    return campaign.file_names or default(campaign)


def default(campaign: Campaign) -> str:
    """Return the template of number and values."""
    return "-".join(f"{{{name}}}" for name in ("number", *campaign.dimensions))


def problem(campaign: Campaign, template: str) -> str:
    """Return what is wrong with a template; empty if nothing is."""
    return intake.text_problem(template) or file_names.problem(template, fields_of(campaign))


@transaction.atomic
def change(campaign: Campaign, template: str, *, at: datetime, by: User) -> None:
    """
    Set the template of a campaign's files; an empty one brings back number and values.

    :raises FileNamesRefused: it names an unknown field, is too long, or would give every file the same name.
    """
    text = template.strip()
    if text and (wrong := problem(campaign, text)):
        raise FileNamesRefused(wrong)
    locked = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    before, locked.file_names = locked.file_names, text
    if before == text:
        return
    locked.save(update_fields=["file_names"])
    owner = Batch.objects.values_list("owner", flat=True).get(pk=campaign.pk)
    was, now = {"file_names": before}, {"file_names": text}
    policy.audit_others(owner, "change file names", str(campaign), at=at, actor=by, before=was, after=now, of=locked)


def names(campaign: Campaign, made: Sequence[tuple[Combination, Asset]], template: str = "") -> list[str]:
    """
    Return the name of each file, ending included; no two are alike.

    :param made: combinations whose job is loaded, each with a file of that job.
    :param template: tried out instead of the campaign's own.
    """
    chosen = template or template_of(campaign)
    numbers = dict(Version.objects.filter(job__in=[cell.job_id for cell, _ in made]).values_list("job", "number"))
    stems = [
        file_names.stem(chosen, _values(campaign, cell, numbers.get(cell.job_id or 0, 1)), otherwise=f"{cell.index:03}")
        for cell, _ in made
    ]
    endings = [file.file_name.rpartition(".")[2] for _, file in made]
    return [f"{stem}.{ending}" for stem, ending in zip(file_names.distinct(stems), endings, strict=True)]


def _values(campaign: Campaign, cell: Combination, version: int) -> dict[str, str]:
    parameters = cell.job.parameters if cell.job else campaign.parameters
    seconds = parameters.get("duration")
    return {
        "number": f"{cell.index:03}",
        "campaign": campaign.name,
        "brand": campaign.brand.name,
        "model": campaign.model_id,
        "ratio": str(parameters.get("aspect_ratio", "")).replace(":", "x"),
        "duration": f"{seconds}s" if seconds else "",
        "version": f"v{version}",
        "review": str(cell.review or "not-reviewed"),
        "job": str(cell.job_id or ""),
        **cell.values,
    }
