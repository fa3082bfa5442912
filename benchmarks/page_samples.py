"""Requests of pages for the benchmarks: products that differ from each other, in the ten languages in turn."""

import random
from typing import Any

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ja")
NAMES = ("Ridge", "Fell", "Tarn", "Moor", "Crag", "Dale", "Beck", "Scree", "Holm", "Skerry", "Corrie", "Strath")
THINGS = ("jacket", "shoe", "tent", "stove", "lamp", "pack", "bottle", "mat", "pole", "glove")
MATERIALS = ("nylon", "polyester", "wool", "aluminium", "steel", "cotton", "cork", "rubber")
CARE = ("hand wash", "wipe with a damp cloth", "machine wash, cold", "rinse and let dry")


def metadata(number: int) -> dict[str, Any]:
    """Return what the page with this number is asked to be, from 0."""
    chance = random.Random(number)
    thing, name = chance.choice(THINGS), f"{chance.choice(NAMES)} {number + 1}"
    return {
        "page_type": "product",
        "target_url": f"https://shop.example/{thing}s/{number}",
        "keywords": [f"{name} {thing}", thing],
        "language": LANGUAGES[number % len(LANGUAGES)],
        "product": {
            "name": f"{name} {thing}",
            "sku": f"SKU-{number:04}",
            "brand": "Nordfell",
            "price": f"{chance.randint(1500, 39999) / 100:.2f}",
            "currency": "EUR",
            "attributes": {
                "Weight": f"{chance.randint(40, 2400)} g",
                "Material": chance.choice(MATERIALS),
                "Length": f"{chance.randint(12, 240)} cm",
                "Care": chance.choice(CARE),
                "Warranty": f"{chance.randint(1, 5)} years",
            },
        },
        "sku_count": chance.choice((1, 150, 2000)),
        "monthly_searches": chance.choice((90, 1500, 20_000)),
        "content_status": chance.choice(("missing", "outdated", "current")),
    }
