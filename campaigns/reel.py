"""Results one at a time: those that a filter keeps, in which order, and which one comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from campaigns import review
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.review import Result


@dataclass(frozen=True)
class Picked:
    """The filters and the order in the address: a verdict, values of dimensions, a dimension to sort by."""

    verdict: str
    where: dict[str, str]
    sort: str

    def query(self, **other: str) -> str:
        """Return these filters as a query string, with some replaced."""
        asked = {**self.where, "sort": self.sort, "verdict": self.verdict, **other}
        return urlencode({name: value for name, value in asked.items() if value})


@dataclass(frozen=True)
class Reel:
    """
    The results with the picked values, in order, seen from the one with this ``index``. ``kept`` are those with the picked
    verdict, and the one that is shown.
    """

    every: Sequence[Result]
    kept: Sequence[Result]
    index: int
    verdict: str

    @property
    def place(self) -> int:
        """Return its place among the kept ones, from 1; 0 for a combination without a result."""
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
        Return the next one to review: the next one that is not reviewed, from the start again after the last. With a picked
        verdict, it is the next one with that verdict.
        """
        at = next((place for place, one in enumerate(self.every) if one.index == self.index), -1)
        later, earlier = self.every[at + 1 :], self.every[: max(at, 0)]
        if self.verdict in ("", review.TO_REVIEW):
            return next((one for one in (*later, *earlier) if one.judgeable and not one.review), None)
        return next((one for one in later if one.judgeable and one.review == self.verdict), None)


def picked(campaign: Campaign, asked: Mapping[str, str]) -> Picked:
    """Read the address. Unknown values are ignored."""
    where = {key: value for key in campaign.dimensions if (value := asked.get(key, "")) in campaign.dimensions[key]}
    verdict, sort = asked.get("verdict", ""), asked.get("sort", "")
    return Picked(verdict if verdict in review.VERDICTS else "", where, sort if sort in campaign.dimensions else "")


def of(campaign: Campaign, found: Sequence[Result], picked: Picked, index: int) -> Reel:
    """Return the reel of a campaign's results with these filters, seen from one combination."""
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
    Return the result to begin with: the first one with the picked verdict; without such a pick, the first one that is not
    reviewed; otherwise the first one.
    """
    reel = of(campaign, found, picked, index=0)
    open_ones = [one for one in reel.every if one.judgeable and one.review == Review.NONE]
    begin = reel.kept if picked.verdict else [*open_ones, *reel.kept]
    return next(iter([*begin, *reel.every]), None)
