"""Tables of campaigns: brands and rules, dimensions, campaigns with their combinations, drafts, and share links."""

from campaigns.models.brand import Brand, ComplianceRule
from campaigns.models.brief import Campaign, Draft
from campaigns.models.combination import Combination, Version
from campaigns.models.dimension import Dimension, DimensionValue
from campaigns.models.share import ClientReview, ShareLink

__all__ = [
    "Brand",
    "Campaign",
    "ClientReview",
    "Combination",
    "ComplianceRule",
    "Dimension",
    "DimensionValue",
    "Draft",
    "ShareLink",
    "Version",
]
