"""The pictures behind the captions. Subject and colours follow words of the prompt, or chance if none matches."""

from __future__ import annotations

import colorsys
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFilter

Colour: TypeAlias = tuple[int, int, int]
Painter: TypeAlias = Callable[[Image.Image, "Palette", random.Random], None]


@dataclass(frozen=True)
class Palette:
    """Colours of a scene: sky at the zenith and at the horizon, land, and lights."""

    zenith: Colour
    horizon: Colour
    land: Colour
    light: Colour


WATER = r"ocean|sea\b|beach|wave|river|lake|water|whale|fish|boat|ship|harbou?r"
MOODS = (
    (r"night|moon|star|midnight|neon|space|galaxy", Palette((8, 12, 38), (58, 44, 104), (16, 18, 46), (236, 232, 205))),
    (r"sunset|sunrise|dusk|dawn|golden|autumn|fire|desert", Palette((72, 40, 96), (250, 150, 82), (88, 38, 52), (255, 224, 150))),
    (r"snow|ice|winter|arctic|frost|glacier", Palette((120, 160, 205), (228, 238, 246), (150, 172, 198), (255, 255, 255))),
    (r"forest|jungle|garden|meadow|spring|green|leaf", Palette((96, 170, 190), (222, 236, 190), (38, 92, 58), (255, 246, 190))),
    (WATER, Palette((40, 110, 180), (176, 222, 232), (18, 84, 122), (255, 250, 220))),
    (r"storm|rain|fog|mist|grey|gray|smoke", Palette((52, 60, 72), (150, 158, 166), (48, 54, 62), (214, 220, 226))),
)


def palette(text: str, rng: random.Random) -> Palette:
    """Return the colours of a shot by words in its text, else random ones."""
    for words, colours in MOODS:
        if re.search(rf"\b({words})", text, re.IGNORECASE):
            return colours
    hue = rng.random()
    return Palette(_hls(hue, 0.24, 0.5), _hls(hue + 0.08, 0.72, 0.6), _hls(hue + 0.52, 0.26, 0.4), _hls(hue + 0.12, 0.92, 0.9))


def paint(text: str, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return the painted scene of a shot."""
    colours = palette(text, rng)
    mask = Image.linear_gradient("L").resize(size)
    image = Image.composite(Image.new("RGB", size, colours.horizon), Image.new("RGB", size, colours.zenith), mask)
    _sun(image, colours, rng)
    _painter(text, rng)(image, colours, rng)
    return image.filter(ImageFilter.GaussianBlur(0.8))


def _painter(text: str, rng: random.Random) -> Painter:
    if re.search(r"\b(city|cities|street|skyline|town|tower|tokyo|paris|york|market|neon|robot|car)", text, re.IGNORECASE):
        return _city
    if re.search(rf"\b({WATER})", text, re.IGNORECASE):
        return _sea
    return rng.choice((_hills, _hills, _city, _sea))


def _sun(image: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = image.size
    x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.18, 0.4)
    draw = ImageDraw.Draw(image, "RGBA")
    for ring in (2.2, 1.6, 1.0):
        radius = min(width, height) * 0.085 * ring
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colours.light, int(220 / ring**3)))


def _hills(image: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    for layer in range(4):
        base, swing = height * (0.52 + 0.12 * layer), height * rng.uniform(0.03, 0.09)
        phase, turns = rng.uniform(0, 6), rng.uniform(1.5, 4)
        ridge = [(x, base - swing * _wave(phase, turns, x / width)) for x in range(0, width + 8, 8)]
        draw.polygon([(0, height), *ridge, (width, height)], fill=_mix(colours.horizon, colours.land, 0.35 + 0.2 * layer))


def _city(image: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    unit = max(4, min(width, height) // 60)
    for layer in range(3):
        wall, x = _mix(colours.horizon, colours.land, 0.45 + 0.25 * layer), 0
        while x < width:
            broad = unit * rng.randint(4, 9)
            top = int(height * (rng.uniform(0.3, 0.62) + 0.1 * layer))
            draw.rectangle((x, top, x + broad, height), fill=wall)
            for row in range(top + unit, height, 2 * unit):
                for column in range(x + unit, x + broad - unit, 2 * unit):
                    if rng.random() < 0.15 + 0.15 * layer:
                        draw.rectangle((column, row, column + unit // 2, row + unit // 2), fill=colours.light)
            x += broad + unit * rng.randint(0, 2)


def _sea(image: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    shore = height * 0.55
    draw.rectangle((0, shore, width, height), fill=_mix(colours.horizon, colours.land, 0.55))
    for line in range(14):
        y = shore + (height - shore) * (line / 14) ** 1.6
        phase, swing = rng.uniform(0, 6), height * 0.002 * (line + 1)
        crest = [(x, y - swing * _wave(phase, 6 - line / 4, x / width)) for x in range(0, width + 8, 8)]
        draw.line(crest, fill=_mix(colours.light, colours.land, line / 16), width=1 + line // 4)


def _wave(phase: float, turns: float, share: float) -> float:
    return math.sin(phase + turns * math.tau * share / 2) + 0.4 * math.sin(3 * phase + 2.6 * turns * math.tau * share)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _hls(hue: float, light: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, light, saturation)
    return int(255 * red), int(255 * green), int(255 * blue)
