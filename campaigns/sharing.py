"""
Share links: a campaign's videos for people without an account, to watch, or to approve, reject and comment as well.

A link's token is shown once, when the link is created; only its hash is stored (I36). A link shows the versions that count, of
its own campaign alone, and nothing that the team says of them. What its visitors say is kept with the name that they typed,
beside the team's reviews and never instead of them.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.crypto import get_random_string

from campaigns import review
from campaigns.models import Campaign, ClientReview, Combination, ShareLink, Version
from campaigns.models.combination import TO_JUDGE, Review
from campaigns.plan import Problem
from campaigns.review import Result
from queue_app.models import Asset, State, User
from queue_app.rules.words import one_line
from queue_app.work import intake, policy

TOKEN_LENGTH = 43  # letters and digits: 256 bits
DAYS = (1, 7, 30, 90)
OPEN_MOST = 20  # links of a campaign at the same time
ANSWERS_MOST = 5_000  # of a link
LABEL_MOST, NAME_MOST, COMMENT_MOST = 100, 80, 1_000
ANSWERS = ("", Review.APPROVED.value, Review.REJECTED.value)
SHARED_KINDS = (*review.MAIN_KINDS, Asset.Kind.THUMBNAIL, Asset.Kind.SPRITESHEET)


class ShareRefused(Exception):
    """Nothing was written. ``problems`` say why, by field."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in problems))


@dataclass(frozen=True)
class Wish:
    """The link that somebody wants to create. ``form_key`` is of the form: sent again, it creates no second link."""

    form_key: uuid.UUID
    label: str = ""
    may_answer: bool = False
    shows: str = ShareLink.Shows.COMPLETED
    days: int = 7


@dataclass(frozen=True)
class Row:
    """A link as its owner sees it, with how many reviews its visitors have left."""

    link: ShareLink
    answers: int
    is_open: bool


@transaction.atomic
def create(campaign: Campaign, wish: Wish, *, at: datetime, by: User) -> tuple[ShareLink, str]:
    """
    Create a link. Return it with its token, which nothing can bring back later; or with no token if this form has created it
    before.

    :raises ShareRefused: a field is wrong, or the campaign has as many open links as it may.
    """
    label = one_line(wish.label)
    if problems := _problems(wish, label):
        raise ShareRefused(*problems)
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # so that two forms don't pass the limit together
    before = ShareLink.objects.filter(campaign=campaign, form_key=wish.form_key).first()
    if before is not None:
        return before, ""
    if ShareLink.objects.filter(campaign=campaign).open(at).count() >= OPEN_MOST:
        raise ShareRefused(Problem("label", f"This campaign has {OPEN_MOST} open links. Revoke one first."))
    token = get_random_string(TOKEN_LENGTH)
    link = ShareLink(
        campaign=campaign,
        form_key=wish.form_key,
        token_sha256=_hash(token),
        label=label,
        may_answer=wish.may_answer,
        shows=wish.shows,
        created_by=by,
        created_at=at,
        expires_at=at + timedelta(days=wish.days),
    )
    if ShareLink.objects.filter(form_key=wish.form_key).exists():  # of another campaign: no form of ours sends that
        raise ShareRefused(Problem("label", "This form was used before. Reload the page and try again."))
    link.save(force_insert=True)
    after = {"label": label, "may_answer": wish.may_answer, "shows": wish.shows, "expires_at": link.expires_at}
    policy.audit("create share link", str(link), at=at, actor=by, after=after, of=campaign)
    return link, token


@transaction.atomic
def revoke(link: ShareLink, *, at: datetime, by: User) -> bool:
    """Turn a link off for good. Return whether it worked until now."""
    locked = ShareLink.objects.select_for_update(no_key=True, of=("self",)).get(pk=link.pk)
    if not locked.is_open(at):
        return False
    locked.revoked_at = at
    locked.save(update_fields=["revoked_at"])
    policy.audit("revoke share link", str(locked), at=at, actor=by, before={"label": locked.label}, of=locked.campaign)
    return True


def find(token: str, *, at: datetime) -> ShareLink | None:
    """Return the link with this token if it works now."""
    known = ShareLink.objects.open(at).select_related("campaign__batch", "campaign__model", "campaign__brand")
    return known.filter(token_sha256=_hash(token)).first()


def note_opened(link: ShareLink, *, at: datetime) -> None:
    """Remember when a link was last opened; at most one write a minute."""
    stale = ShareLink.objects.filter(pk=link.pk).exclude(opened_at__gt=at - timedelta(minutes=1))
    stale.update(opened_at=at)


def links_of(campaign: Campaign, *, at: datetime) -> list[Row]:
    """The links of a campaign, the newest first."""
    links = ShareLink.objects.filter(campaign=campaign).select_related("created_by").order_by("-id")
    answers = dict(ClientReview.objects.filter(link__campaign=campaign).values_list("link").annotate(Count("pk")))
    return [Row(link, answers.get(link.pk, 0), link.is_open(at)) for link in links]


def results(link: ShareLink) -> list[Result]:
    """What a link shows, in the order of the matrix, with its visitors' last verdicts in place of the team's."""
    shown = [
        one
        for one in review.results(link.campaign)
        if one.judgeable and (link.shows == ShareLink.Shows.COMPLETED or one.review in review.GOOD)
    ]
    said = ClientReview.objects.filter(link=link, version__job__in=[one.job for one in shown]).order_by("id")
    last = dict(said.values_list("version__job", "review"))
    return [replace(one, review=last.get(one.job, "")) for one in shown]


def file_of(link: ShareLink, asset_id: uuid.UUID) -> Asset | None:
    """Return a file that the link shows: of a version that counts, of its campaign, and not expired."""
    asset = Asset.objects.filter(pk=asset_id, expired_at=None, kind__in=SHARED_KINDS).first()
    if asset is None:
        return None
    cells = Combination.objects.filter(campaign=link.campaign_id, job=asset.job_id, job__state=State.COMPLETED)
    if link.shows == ShareLink.Shows.APPROVED:
        cells = cells.filter(review__in=review.GOOD)
    return asset if cells.exists() else None


@transaction.atomic
def answer(link: ShareLink, index: int, *, verdict: str | None, comment: str, name: str, at: datetime) -> ClientReview:
    """
    Keep what a visitor says of the video with this index. Said again in the same words, it is kept once.

    :param verdict: ``None`` leaves the last one of the link's visitors as it is.
    :raises ShareRefused: the link allows no reviews (any more) or has too many, the video is not among those that it shows, or a
        field is wrong.
    """
    locked = ShareLink.objects.open(at).select_for_update(no_key=True, of=("self",)).filter(pk=link.pk, may_answer=True).first()
    if locked is None:
        raise ShareRefused(Problem("review", "This link no longer takes reviews. Ask the sender for a new one."))
    found = next((one for one in results(locked) if one.index == index), None)
    if found is None:
        raise ShareRefused(Problem("review", "This video is no longer shared. Reload the page."))
    verdict = found.review if verdict is None else verdict
    who, words = one_line(name), comment.replace("\r\n", "\n").strip()
    if problems := _answer_problems(verdict, words, who):
        raise ShareRefused(*problems)
    last = ClientReview.objects.filter(link=locked, version__job=found.job).order_by("id").last()
    if last is not None and (last.review, last.comment, last.name) == (verdict, words, who):
        return last
    if last is None and not verdict and not words:
        raise ShareRefused(Problem("comment", "Approve, reject or write a comment."))
    if locked.reviews.count() >= ANSWERS_MOST:
        raise ShareRefused(Problem("review", f"This link has {ANSWERS_MOST:,} reviews, the most it takes. Ask for a new one."))
    version = Version.objects.select_related("combination").get(job=found.job)
    said = ClientReview.objects.create(link=locked, version=version, review=verdict, comment=words, name=who, at=at)
    after = {"name": who, "review": verdict, "comment": words, "version": version.number}
    policy.audit(
        "review by share link",
        str(version.combination),
        at=at,
        actor=None,
        actor_name=f"share link {locked.pk}",
        after=after,
        of=version.combination,
    )
    return said


def said_of(job: int, *, link: ShareLink | None = None, most: int = 20) -> list[ClientReview]:
    """What visitors said of the version of this job, the newest first; those of one link alone if given."""
    rows = ClientReview.objects.filter(version__job=job).select_related("link")
    return list((rows.filter(link=link) if link else rows).order_by("-id")[:most])


def to_adopt(campaign: Campaign) -> int:
    """Return how many combinations visitors approved or rejected and the team has not reviewed."""
    return len(_adoptable(_unreviewed(campaign)))


@transaction.atomic
def adopt(campaign: Campaign, *, at: datetime, by: User) -> int:
    """Review the combinations that the team has not reviewed as visitors did last. Return how many."""
    found = _adoptable(_unreviewed(campaign).select_for_update(of=("self",)).order_by("pk"))
    for cell, verdict in found:
        review.judge(cell, verdict, at=at, by=by)
    return len(found)


def _unreviewed(campaign: Campaign) -> QuerySet[Combination]:
    return Combination.objects.filter(TO_JUDGE, campaign=campaign)


def _adoptable(cells: Iterable[Combination]) -> list[tuple[Combination, str]]:
    """Those on which visitors have given a verdict, with the last one."""
    by_job = {cell.job_id: cell for cell in cells}
    said = ClientReview.objects.filter(version__job__in=list(by_job)).order_by("id").values_list("version__job", "review")
    return [(by_job[job], verdict) for job, verdict in dict(said).items() if verdict]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _problems(wish: Wish, label: str) -> Sequence[Problem]:
    found = []
    if not label:
        found.append(Problem("label", "Enter who the link is for."))
    elif len(label) > LABEL_MOST:
        over = len(label) - LABEL_MOST
        found.append(Problem("label", f"Too long: {len(label):,} of {LABEL_MOST} characters. Shorten it by {over:,}."))
    elif problem := intake.text_problem(label):
        found.append(Problem("label", problem))
    if wish.days not in DAYS:
        found.append(Problem("days", "Choose how long the link works."))
    if wish.shows not in ShareLink.Shows.values:
        found.append(Problem("shows", "Choose what the link shows."))
    return found


def _answer_problems(verdict: str, comment: str, name: str) -> Sequence[Problem]:
    found = []
    if verdict not in ANSWERS:
        found.append(Problem("review", "Choose approve or reject."))
    if not any(letter.isalnum() for letter in name):
        found.append(Problem("name", "Enter your name, so that the team knows who reviewed."))
    for field, text, most in (("name", name, NAME_MOST), ("comment", comment, COMMENT_MOST)):
        if len(text) > most:
            over = len(text) - most
            found.append(Problem(field, f"Too long: {len(text):,} of {most:,} characters. Shorten it by {over:,}."))
        elif problem := intake.text_problem(text):
            found.append(Problem(field, problem))
    return found
