"""Tables of campaigns: brands, rules, dimensions, campaigns, their combinations, drafts, share links, pages."""

from campaigns.models.brand import Brand, ComplianceRule
from campaigns.models.brief import Campaign, Draft
from campaigns.models.combination import Combination, Version
from campaigns.models.dimension import Dimension, DimensionValue
from campaigns.models.page import Approval, CatalogueRow, Page, PageDraft
from campaigns.models.share import ClientReview, ShareLink
from campaigns.models.trip import Trip

__all__ = [
    "Approval",
    "Brand",
    "Campaign",
    "CatalogueRow",
    "ClientReview",
    "Combination",
    "ComplianceRule",
    "Dimension",
    "DimensionValue",
    "Draft",
    "Page",
    "PageDraft",
    "ShareLink",
    "Trip",
    "Version",
]
