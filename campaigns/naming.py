"""The names of a campaign's downloaded files: the template, the fields that it may use, and the names."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from campaigns.models import Campaign, Combination, Version
from campaigns.rules import file_names
from queue_app.models import Asset, Batch, User
from queue_app.work import intake, policy

# field → its value in words; the campaign's dimensions are fields, too
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
    """The template can't be used. Nothing was written."""


def fields_of(campaign: Campaign) -> dict[str, str]:
    """Return the fields that a template of this campaign may use, each with its value in words; its dimensions come first."""
    own = {key: str(campaign.labels.get(key, {}).get("label", key)) for key in campaign.dimensions}
    return {**own, **{name: words for name, words in FIELDS.items() if name not in own}}


def template_of(campaign: Campaign) -> str:
    """Return the campaign's own template, or the default one."""
    return campaign.file_names or default(campaign)


def default(campaign: Campaign) -> str:
    """Return the template of number and values."""
    return "-".join(f"{{{name}}}" for name in ("number", *campaign.dimensions))


def problem(campaign: Campaign, template: str) -> str:
    """Return the problem with a template; empty if there is none."""
    return intake.text_problem(template) or file_names.problem(template, fields_of(campaign))


@transaction.atomic
def change(campaign: Campaign, template: str, *, at: datetime, by: User) -> None:
    """
    Set the template of a campaign's file names. An empty one restores the default.

    :raises FileNamesRefused: the template has an unknown field or none at all, or is too long.
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


def names(campaign: Campaign, files: Sequence[tuple[Combination, Asset]], template: str = "") -> list[str]:
    """
    Return a distinct name for each file, with its ending.

    :param files: files, each with its combination, whose job is loaded.
    :param template: used instead of the campaign's own.
    """
    chosen = template or template_of(campaign)
    numbers = dict(Version.objects.filter(job__in=[cell.job_id for cell, _ in files]).values_list("job", "number"))
    stems = [
        file_names.stem(chosen, _values(campaign, cell, numbers.get(cell.job_id or 0, 1)), otherwise=f"{cell.index:03}")
        for cell, _ in files
    ]
    endings = [file.file_name.rpartition(".")[2] for _, file in files]
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
