"""Results one at a time: what a filter keeps, in which order, what comes next, and what is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from campaigns import review
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.review import Result


@dataclass(frozen=True)
class Picked:
    """Which results somebody wants to see: of a verdict (`review.TO_REVIEW` for none yet), with values, in an order."""

    verdict: str
    where: dict[str, str]
    sort: str

    def query(self, **other: str) -> str:
        """The same again as a query, with something else in it."""
        asked = {**self.where, "sort": self.sort, "verdict": self.verdict, **other}
        return urlencode({name: value for name, value in asked.items() if value})


@dataclass(frozen=True)
class Reel:
    """
    The results with the picked values in their order, seen from the one with this ``index``. ``kept`` are those with the picked
    verdict, and the one that is shown.
    """

    every: Sequence[Result]
    kept: Sequence[Result]
    index: int
    verdict: str

    @property
    def place(self) -> int:
        """Its place among the kept ones, from 1; 0 for a cell that has delivered nothing."""
        return next((place for place, one in enumerate(self.kept, start=1) if one.index == self.index), 0)

    @property
    def before(self) -> Result | None:
        return self.kept[self.place - 2] if self.place > 1 else None

    @property
    def after(self) -> Result | None:
        return self.kept[self.place] if 0 < self.place < len(self.kept) else None

    @property
    def following(self) -> Result | None:
        """
        The next to review: the next one without a verdict, from the start again after the last. Of those with a verdict that was
        picked it is the next in order.
        """
        at = next((place for place, one in enumerate(self.every) if one.index == self.index), -1)
        later, earlier = self.every[at + 1 :], self.every[: max(at, 0)]
        if self.verdict in ("", review.TO_REVIEW):
            return next((one for one in (*later, *earlier) if one.judgeable and not one.review), None)
        return next((one for one in later if one.judgeable and one.review == self.verdict), None)


def picked(campaign: Campaign, asked: Mapping[str, str]) -> Picked:
    """Read what somebody picked; what is not offered is as good as not asked for."""
    where = {key: value for key in campaign.dimensions if (value := asked.get(key, "")) in campaign.dimensions[key]}
    verdict, sort = asked.get("verdict", ""), asked.get("sort", "")
    return Picked(verdict if verdict in review.VERDICTS else "", where, sort if sort in campaign.dimensions else "")


def of(campaign: Campaign, found: Sequence[Result], picked: Picked, index: int) -> Reel:
    """Return the reel of a campaign's results as somebody picked them, at this cell."""
    in_order = review.selected(campaign, found, verdict="", where={}, sort=picked.sort)
    every, kept = (
        {one.pk for one in review.selected(campaign, found, verdict=verdict, where=picked.where, sort="")}
        for verdict in ("", picked.verdict)
    )
    return Reel(
        every=[one for one in in_order if one.pk in every or one.index == index],
        kept=[one for one in in_order if one.pk in kept or one.index == index],
        index=index,
        verdict=picked.verdict,
    )


def first(campaign: Campaign, found: Sequence[Result], picked: Picked) -> Result | None:
    """
    Return where a review begins: at the first result with the picked verdict, without one unless another was picked; or else at
    the first result.
    """
    reel = of(campaign, found, picked, index=0)
    open_ones = [one for one in reel.every if one.judgeable and one.review == Review.NONE]
    begin = reel.kept if picked.verdict else [*open_ones, *reel.kept]
    return next(iter([*begin, *reel.every]), None)
