"""The vendors of the conformance suite. A new adapter is added as a module here and an entry in `VENDORS`."""

from tests.providers.vendors.chat import CHAT
from tests.providers.vendors.common import oddities_of
from tests.providers.vendors.fal import FAL
from tests.providers.vendors.openai_images import OPENAI_IMAGES
from tests.providers.vendors.openai_videos import OPENAI_VIDEOS
from tests.providers.vendors.openrouter import OPENROUTER
from tests.providers.vendors.replicate import REPLICATE
from tests.providers.vendors.vendor import Oddity, Vendor

VENDORS: dict[str, Vendor] = {
    vendor.adapter: vendor for vendor in (OPENAI_VIDEOS, FAL, REPLICATE, OPENROUTER, OPENAI_IMAGES, CHAT)
}
ODDITIES: dict[tuple[str, str], Oddity] = {
    (name, row): oddity for name, vendor in VENDORS.items() for row, oddity in oddities_of(vendor).items()
}
