"""A picture from a prompt: a painted scene in the requested shape, captioned with the prompt and labelled "studio preview"."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict

from PIL import Image

from genqueue_site.studio import scenery
from genqueue_site.studio.film import caption_band, preview_size
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.lettering import drawable, plate

LONGER_SIDE = 1024


def draw(recipe: Recipe, number: int) -> Image.Image:
    """Draw one of the recipe's pictures, counted from 0. Equal recipes give equal pictures; each number gives another."""
    told = drawable(recipe.prompt).strip() or "untitled"
    rng = random.Random(hashlib.sha256(f"{number} {json.dumps(asdict(recipe))}".encode()).digest())
    image = scenery.paint(told, preview_size(recipe.width, recipe.height, longer_side=LONGER_SIDE), rng)
    words = caption_band(told, image.size)
    image.paste(words, (0, image.height - words.height), words)
    label = plate(max(10, min(image.size) // 24))
    image.paste(label, (label.height // 3, label.height // 3), label)
    return image
