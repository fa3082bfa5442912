"""Tables of campaigns: brands and rules, dimensions, campaigns with their combinations, and drafts."""

from campaigns.models.brand import Brand, ComplianceRule
from campaigns.models.brief import Campaign, Draft
from campaigns.models.combination import Combination, Version
from campaigns.models.dimension import Dimension, DimensionValue

__all__ = ["Brand", "Campaign", "Combination", "ComplianceRule", "Dimension", "DimensionValue", "Draft", "Version"]
