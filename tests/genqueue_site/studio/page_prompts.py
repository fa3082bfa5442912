"""Prompts for components of pages, as the studio reads them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from typing import Any

KEYWORDS = ("trail running shoes", "light shoes", "shoes for fells")
NAMES = ("Fell", "Tor", "Ridge", "Kite", "Alba", "Nova", "Luma", "Pico", "Sella", "Vento", "Arco", "Brisa")


def product(seed: int) -> dict[str, Any]:
    """Return a product with a name and figures of its own."""
    rng = random.Random(seed)
    rows = [
        ("Weight", f"{rng.randint(180, 420)} g"),
        ("Drop", f"{rng.randint(2, 12)} mm"),
        ("Upper", rng.choice(("mesh", "leather", "knit"))),
        ("Sizes", f"{rng.randint(35, 39)}–{rng.randint(44, 48)}"),
        ("Colour", rng.choice(("red", "blue", "black"))),
        ("Sole", rng.choice(("rubber", "foam"))),
    ]
    return {
        "name": f"{NAMES[seed % len(NAMES)]} {rng.randint(2, 990)}",
        "price": f"{rng.randint(40, 200)}.90",
        "currency": "EUR",
        "attributes": dict(rng.sample(rows, rng.randint(3, 6))),
    }


def prompt(kind: str, language: str = "en", /, products: Sequence[dict[str, Any]] = (), **task: Any) -> str:
    """Return a prompt for a component; ``task`` holds members of its task that differ."""
    products = products or [product(1)]
    facts = [f"Price: {one['price']} {one['currency']}" for one in products if "price" in one]
    told = {
        "component": kind,
        "kind": kind,
        "page_type": "product",
        "language": language,
        "keywords": KEYWORDS,
        "words": [0, 0],
        "title": products[0]["name"],
        "voice": "",
        "questions": [],
        "figures": [],
        **task,
    }
    return f"Write a component.\n\n{_block('TASK', told)}\n\n{_block('FACTS', {'products': products, 'facts': facts})}"


def _block(name: str, value: object) -> str:
    line = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    fence = f"{name} {hashlib.sha256(line.encode()).hexdigest()[:8]}"
    return f"{fence}\n{line}\n{fence}"
