"""
Share links: the results of a campaign for people without an account, to view, or to approve, reject and comment as well.

The token of a link is shown once, when the link is created; only its hash is stored (I36). A link shows the versions that count,
of its own campaign only, and nothing of the team's review. Reviews by visitors are saved with the name that they typed, beside
the team's review and never in its place.
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
SHARED_KINDS = (*Asset.MAIN_KINDS, Asset.Kind.THUMBNAIL, Asset.Kind.SPRITESHEET)


class ShareRefused(Exception):
    """The request is refused. Nothing was written. ``problems`` say why, by field."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in problems))


@dataclass(frozen=True)
class NewLink:
    """A request for a link. ``form_key`` is that of the form: sent again, it creates no second link."""

    form_key: uuid.UUID
    label: str = ""
    may_answer: bool = False
    shows: str = ShareLink.Shows.COMPLETED
    days: int = 7


@dataclass(frozen=True)
class ListedLink:
    """A link as its campaign's page lists it, with the number of reviews by its visitors."""

    link: ShareLink
    answers: int
    is_open: bool


@transaction.atomic
def create(campaign: Campaign, new: NewLink, *, at: datetime, by: User) -> tuple[ShareLink, str]:
    """
    Create a link. Return it with its token, which can't be read later; with an empty one if this form has created it before.

    :raises ShareRefused: a field is wrong, or the campaign has the most open links.
    """
    label = one_line(new.label)
    if problems := _problems(new, label):
        raise ShareRefused(*problems)
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # two forms can't pass the limit together
    before = ShareLink.objects.filter(campaign=campaign, form_key=new.form_key).first()
    if before is not None:
        return before, ""
    if ShareLink.objects.filter(campaign=campaign).open(at).count() >= OPEN_MOST:
        raise ShareRefused(Problem("label", f"This campaign has {OPEN_MOST} open links. Revoke one first."))
    if ShareLink.objects.filter(form_key=new.form_key).exists():  # of another campaign: no form of ours sends that
        raise ShareRefused(Problem("label", "This form was used before. Reload the page and try again."))
    token = get_random_string(TOKEN_LENGTH)
    link = ShareLink.objects.create(
        campaign=campaign,
        form_key=new.form_key,
        token_sha256=_hash(token),
        label=label,
        may_answer=new.may_answer,
        shows=new.shows,
        created_by=by,
        created_at=at,
        expires_at=at + timedelta(days=new.days),
    )
    after = {"label": label, "may_answer": new.may_answer, "shows": new.shows, "expires_at": link.expires_at}
    policy.audit("create share link", str(link), at=at, actor=by, after=after, of=campaign)
    return link, token


@transaction.atomic
def revoke(link: ShareLink, *, at: datetime, by: User) -> bool:
    """Turn off a link forever. Return whether it worked before."""
    locked = ShareLink.objects.select_for_update(no_key=True, of=("self",)).get(pk=link.pk)
    if not locked.is_open(at):
        return False
    locked.revoked_at = at
    locked.save(update_fields=["revoked_at"])
    policy.audit("revoke share link", str(locked), at=at, actor=by, before={"label": locked.label}, of=locked.campaign)
    return True


def find(token: str, *, at: datetime) -> ShareLink | None:
    """Return the link with this token; ``None`` if there is none that works."""
    known = ShareLink.objects.open(at).select_related("campaign__batch", "campaign__model", "campaign__brand")
    return known.filter(token_sha256=_hash(token)).first()


def note_opened(link: ShareLink, *, at: datetime) -> None:
    """Save when a link was opened, at most once per minute."""
    stale = ShareLink.objects.filter(pk=link.pk).exclude(opened_at__gt=at - timedelta(minutes=1))
    stale.update(opened_at=at)


def links_of(campaign: Campaign, *, at: datetime) -> list[ListedLink]:
    """Return the links of a campaign, the newest first."""
    links = ShareLink.objects.filter(campaign=campaign).select_related("created_by").order_by("-id")
    answers = dict(ClientReview.objects.filter(link__campaign=campaign).values_list("link").annotate(Count("pk")))
    return [ListedLink(link, answers.get(link.pk, 0), link.is_open(at)) for link in links]


def results(link: ShareLink) -> list[Result]:
    """Return the results that a link shows, in matrix order, with the latest verdicts of its visitors in place of the team's."""
    shown = [
        one
        for one in review.results(link.campaign)
        if one.judgeable and (link.shows == ShareLink.Shows.COMPLETED or one.review in review.GOOD)
    ]
    answers = ClientReview.objects.filter(link=link, version__job__in=[one.job for one in shown]).order_by("id")
    latest = dict(answers.values_list("version__job", "review"))
    return [replace(one, review=latest.get(one.job, "")) for one in shown]


def file_of(link: ShareLink, asset_id: uuid.UUID) -> Asset | None:
    """Return a file that the link shows: of a version that counts, of its own campaign, and not deleted."""
    asset = Asset.objects.kept().filter(pk=asset_id, kind__in=SHARED_KINDS).first()
    if asset is None:
        return None
    cells = Combination.objects.filter(campaign=link.campaign_id, job=asset.job_id, job__state=State.COMPLETED)
    if link.shows == ShareLink.Shows.APPROVED:
        cells = cells.filter(review__in=review.GOOD)
    return asset if cells.exists() else None


@transaction.atomic
def answer(link: ShareLink, index: int, *, verdict: str | None, comment: str, name: str, at: datetime) -> ClientReview:
    """
    Save a visitor's review of the result of this combination. The same review again is saved once.

    :param verdict: ``None`` keeps the latest verdict of the link's visitors.
    :raises ShareRefused: the link takes no reviews (any more) or has the most, it does not show this result, or a field is wrong.
    """
    locked = ShareLink.objects.open(at).select_for_update(no_key=True, of=("self",)).filter(pk=link.pk, may_answer=True).first()
    if locked is None:
        raise ShareRefused(Problem("review", "This link no longer takes reviews. Ask the sender for a new one."))
    found = next((one for one in results(locked) if one.index == index), None)
    if found is None:
        medium = link.campaign.model.medium
        raise ShareRefused(Problem("review", f"This {medium} is no longer shared. Reload the page."))
    verdict = found.review if verdict is None else verdict
    who, words = one_line(name), comment.replace("\r\n", "\n").strip()
    if problems := _answer_problems(verdict, words, who):
        raise ShareRefused(*problems)
    latest = ClientReview.objects.filter(link=locked, version__job=found.job).order_by("id").last()
    if latest is not None and (latest.review, latest.comment, latest.name) == (verdict, words, who):
        return latest
    if latest is None and not verdict and not words:
        raise ShareRefused(Problem("comment", "Approve, reject or write a comment."))
    if locked.reviews.count() >= ANSWERS_MOST:
        raise ShareRefused(Problem("review", f"This link has {ANSWERS_MOST:,} reviews, the most it takes. Ask for a new one."))
    version = Version.objects.select_related("combination").get(job=found.job)
    saved = ClientReview.objects.create(link=locked, version=version, review=verdict, comment=words, name=who, at=at)
    policy.audit(
        "review by share link",
        str(version.combination),
        at=at,
        actor=None,
        actor_name=f"share link {locked.pk}",
        after={"name": who, "review": verdict, "comment": words, "version": version.number},
        of=version.combination,
    )
    return saved


def answers_on(job: int, *, link: ShareLink | None = None, most: int = 20) -> list[ClientReview]:
    """Return the reviews by visitors of the version of this job, the newest first; of all links unless one is given."""
    rows = ClientReview.objects.filter(version__job=job).select_related("link")
    return list((rows.filter(link=link) if link else rows).order_by("-id")[:most])


def to_adopt(campaign: Campaign) -> int:
    """Return the number of combinations that visitors approved or rejected and the team has not reviewed."""
    return len(_adoptable(_unreviewed(campaign)))


@transaction.atomic
def adopt(campaign: Campaign, *, at: datetime, by: User) -> int:
    """Give the combinations that the team has not reviewed the latest verdict of visitors. Return their number."""
    found = _adoptable(_unreviewed(campaign).select_for_update(of=("self",)).order_by("pk"))
    for cell, verdict in found:
        review.judge(cell, verdict, at=at, by=by)
    return len(found)


def _unreviewed(campaign: Campaign) -> QuerySet[Combination]:
    return Combination.objects.filter(TO_JUDGE, campaign=campaign)


def _adoptable(cells: Iterable[Combination]) -> list[tuple[Combination, str]]:
    """Return the cells with a verdict by visitors, each with the latest one."""
    by_job = {cell.job_id: cell for cell in cells}
    answers = ClientReview.objects.filter(version__job__in=list(by_job)).order_by("id").values_list("version__job", "review")
    return [(by_job[job], verdict) for job, verdict in dict(answers).items() if verdict]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _problems(new: NewLink, label: str) -> Sequence[Problem]:
    found = _text_problems({"label": (label, LABEL_MOST)})
    if not label:
        found.append(Problem("label", "Enter who the link is for."))
    if new.days not in DAYS:
        found.append(Problem("days", "Choose how long the link works."))
    if new.shows not in ShareLink.Shows.values:
        found.append(Problem("shows", "Choose what the link shows."))
    return found


def _answer_problems(verdict: str, comment: str, name: str) -> Sequence[Problem]:
    found = _text_problems({"name": (name, NAME_MOST), "comment": (comment, COMMENT_MOST)})
    if verdict not in ANSWERS:
        found.append(Problem("review", "Choose approve or reject."))
    if not any(letter.isalnum() for letter in name):
        found.append(Problem("name", "Enter your name. The team sees it with your review."))
    return found


def _text_problems(texts: dict[str, tuple[str, int]]) -> list[Problem]:
    """``texts``: by field, each with the most characters."""
    found = []
    for field, (text, most) in texts.items():
        if len(text) > most:
            over = len(text) - most
            found.append(Problem(field, f"Too long: {len(text):,} of {most:,} characters. Shorten it by {over:,}."))
        elif problem := intake.text_problem(text):
            found.append(Problem(field, problem))
    return found
