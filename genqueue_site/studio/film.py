"""
A film from a prompt: a few shots with a moving camera, each with its part of the prompt as a caption. ``manim`` gets animated
curves.

Frames have the requested aspect ratio, scaled down so that the longer side is at most 640 pixels. Every frame and both stills are
marked "studio preview". Nothing depends on a clock or on randomness beyond the recipe's seed, so equal recipes give equal frames.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from dataclasses import asdict
from typing import Protocol

from PIL import Image, ImageDraw

from genqueue_site.studio import scenery
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.lettering import drawable, font, plate, wrapped

LONGER_SIDE = 640
FRAMES_PER_SECOND = 24
ROOM = 1.25  # size of a painted scene relative to the frame, so that the camera can move


class Shot(Protocol):
    """A part of the film with one caption."""

    def picture(self, share: float) -> Image.Image:
        """Return a new picture, which the caller may draw on, at ``share`` (0 to 1) of the shot."""


class Film:
    """The frames of a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.size = recipe.size_within(LONGER_SIDE)
        self.frames = max(1, round(recipe.seconds * FRAMES_PER_SECOND))
        told = drawable(recipe.prompt)
        rng = random.Random(hashlib.sha256(json.dumps(asdict(recipe)).encode()).digest())
        parts = [part.strip() for part in re.split(r"[.;,\n]+", told) if part.strip()] or [told.strip() or "untitled"]
        count = min(4, max(2, round(recipe.seconds / 2.5)))
        captions = [parts[number % len(parts)] for number in range(count)] if len(parts) > 1 else parts * count
        kind = _Formula if recipe.model == "manim" else _Scene
        self._shots: list[Shot] = [kind(told, caption, self.size, rng) for caption in captions]
        self._captions = [caption_band(caption, self.size) for caption in captions]
        self._small = max(10, min(self.size) // 24)
        self._plate = plate(self._small)

    def frame(self, number: int) -> Image.Image:
        """Return the frame with this number, from 0."""
        place = number * len(self._shots) / self.frames
        which = int(place)
        image = self._shots[which].picture(place - which)
        caption = self._captions[which]
        width, height = self.size
        image.paste(caption, (0, height - caption.height), caption)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, height - 4, width * (number + 1) // self.frames, height), fill="white")
        clock = f"{number / FRAMES_PER_SECOND:.1f} s"
        draw.text((width - self._small, self._small), clock, font=font(self._small), fill="white", anchor="rt")
        image.paste(self._plate, (self._small // 2, self._small // 2), self._plate)
        return image


class _Scene:
    """A painted scene with a camera that moves over it by whole pixels: a smooth zoom would double the render time."""

    def __init__(self, prompt: str, caption: str, size: tuple[int, int], rng: random.Random) -> None:
        self.size = size
        self.scene = scenery.paint(f"{caption} {prompt}", (int(size[0] * ROOM), int(size[1] * ROOM)), rng)
        self.pan = rng.choice((-1, 1)) * rng.uniform(0.5, 1), rng.uniform(-0.6, 0.6)

    def picture(self, share: float) -> Image.Image:
        width, height = self.size
        left = round((self.scene.width - width) / 2 * (1 + self.pan[0] * (2 * share - 1)))
        top = round((self.scene.height - height) / 2 * (1 + self.pan[1] * (2 * share - 1)))
        return self.scene.crop((left, top, left + width, top + height))


class _Formula:
    """The graph of a function, drawn from left to right."""

    def __init__(self, _: str, __: str, size: tuple[int, int], rng: random.Random) -> None:
        width, height = size
        self.colour = rng.choice([(88, 196, 221), (131, 193, 103), (255, 134, 47), (236, 146, 171)])
        first, second = (rng.randint(4, 12) / 10, rng.randint(1, 3)), (rng.randint(1, 6) / 10, rng.randint(2, 7))
        self.board = Image.new("RGB", size, (13, 17, 23))
        draw = ImageDraw.Draw(self.board)
        for step in range(1, 12):
            draw.line((width * step / 12, 0, width * step / 12, height), fill=(30, 38, 50))
            draw.line((0, height * step / 12, width, height * step / 12), fill=(30, 38, 50))
        draw.line((0, height / 2, width, height / 2), fill=(170, 178, 190), width=2)
        draw.line((width / 12, 0, width / 12, height), fill=(170, 178, 190), width=2)
        letter = max(10, min(size) // 16)
        text = f"f(x) = {first[0]} sin {first[1]}x + {second[0]} cos {second[1]}x"
        draw.text((width / 2, height * 0.16), text, font=font(letter), fill=self.colour, anchor="mt")
        self.points = [
            (x, height / 2 - height * 0.16 * (first[0] * math.sin(first[1] * angle) + second[0] * math.cos(second[1] * angle)))
            for x in range(width // 12, width, 3)
            for angle in [(x / width - 1 / 12) * math.tau]
        ]

    def picture(self, share: float) -> Image.Image:
        image = self.board.copy()
        drawn = self.points[: max(2, round(len(self.points) * min(1.0, share * 1.25)))]
        draw = ImageDraw.Draw(image)
        draw.line(drawn, fill=self.colour, width=3, joint="curve")
        x, y = drawn[-1]
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill="white")
        return image


def caption_band(text: str, size: tuple[int, int]) -> Image.Image:
    """Return a dark band as wide as the image with the text on it, in at most two lines."""
    width, height = size
    letter, margin = max(11, min(size) // 18), max(6, min(size) // 22)
    text = wrapped(text, size=letter, width=width - 2 * margin, lines=2)
    band = Image.new("RGBA", (width, min(height, round(letter * 2.9) + 2 * margin)), (0, 0, 0, 140))
    ImageDraw.Draw(band).multiline_text((margin, margin), text, font=font(letter), fill="white", spacing=2)
    return band
