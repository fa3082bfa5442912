"""An image from a prompt: a painted scene of the requested ratio, with the prompt as caption and the label "studio preview"."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict

from PIL import Image

from genqueue_site.studio import scenery
from genqueue_site.studio.film import caption_band
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.lettering import drawable, plate

LONGER_SIDE = 1024


def draw(recipe: Recipe, number: int) -> Image.Image:
    """Return an image of the recipe, counted from 0. Equal recipes give equal images; each number gives another one."""
    prompt = drawable(recipe.prompt).strip() or "untitled"
    rng = random.Random(hashlib.sha256(f"{number} {json.dumps(asdict(recipe))}".encode()).digest())
    image = scenery.paint(prompt, recipe.size_within(LONGER_SIDE), rng)
    words = caption_band(prompt, image.size)
    image.paste(words, (0, image.height - words.height), words)
    label = plate(max(10, min(image.size) // 24))
    image.paste(label, (label.height // 3, label.height // 3), label)
    return image
