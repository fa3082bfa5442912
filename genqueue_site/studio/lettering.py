"""Text on pictures, in a font with the characters of people's prompts (Pillow's own lacks é and –)."""

from __future__ import annotations

import textwrap
from functools import cache
from pathlib import Path

import fontpkg_noto_sans
from PIL import Image, ImageDraw, ImageFont

FONTS = (
    Path(fontpkg_noto_sans.ROOT) / "files" / "NotoSans[wdth,wght].ttf",
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSans.ttf"),
)
LABEL = "studio preview"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """
    Return the font in a size in pixels, at least 8.

    :raises FileNotFoundError: none of ``FONTS`` exists.
    """
    for path in FONTS:
        if path.is_file():
            return ImageFont.truetype(path, max(8, size))
    raise FileNotFoundError(f"No font for the studio: install fontpkg-noto-sans (looked for {', '.join(map(str, FONTS))}).")


def wrapped(text: str, *, size: int, width: int, lines: int) -> str:
    """Return the text in at most ``lines`` lines of about ``width`` pixels; a longer text ends with an ellipsis."""
    letters = max(4, int(width / font(size).getlength("n")))
    return "\n".join(textwrap.wrap(text, letters, max_lines=lines, placeholder=" …"))


def drawable(text: str) -> str:
    """Return a text that can be drawn: an unpaired surrogate, which JSON may contain, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plate(size: int) -> Image.Image:
    """Return the label "studio preview" in letters of ``size`` pixels on a dark plate, readable on any picture."""
    margin = max(1, size // 3)
    left, top, right, bottom = font(size).getbbox(LABEL)
    image = Image.new("RGBA", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), radius=margin, fill=(0, 0, 0, 170))
    draw.text((margin - left, margin - top), LABEL, font=font(size), fill="white")
    return image
