"""
The renderer, one process per job. Reads a recipe as a line of JSON from standard input and writes its files to a folder.

The files of a video are ``video.mp4`` (VP9 or H.264, index first, 24 frames per second, of the requested length),
``thumbnail.webp`` and ``spritesheet.jpg`` (10 frames in one row). Images are ``image-0.png`` and so on, or JPEG or WebP. Equal
recipes give equal bytes: the encoder uses one thread, and the files contain no time or version of ours.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from genqueue_site.studio import still
from genqueue_site.studio.film import FRAMES_PER_SECOND, Film
from genqueue_site.studio.jobs import PICTURE_ENDINGS, SPRITESHEET, THUMBNAIL, VIDEO, Recipe
from genqueue_site.studio.lettering import LABEL, drawable, plate

SPRITES = 10
SPRITE_SIDE = 160  # longer side of a sprite in pixels
CPU_SECONDS = 120
LARGEST_FILE = 512 * 2**20  # bytes
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "34", "b": "0", "g": "48"}),
    "h264": ("libx264", {"preset": "veryfast", "crf": "24", "g": "48"}),
}
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 6},
    "jpeg": {"quality": 88, "comment": LABEL},
    "webp": {"quality": 86, "method": 2},
}


def render(recipe: Recipe, folder: Path) -> None:
    """Render all files of a recipe into ``folder``."""
    (render_pictures if recipe.codec in PICTURE_ENDINGS else render_video)(recipe, folder)


def render_pictures(recipe: Recipe, folder: Path) -> None:
    """Render each image and save it in the format of the recipe."""
    for number, name in enumerate(recipe.files):
        still.draw(recipe, number).save(folder / name, recipe.codec.upper(), **SAVE_OPTIONS[recipe.codec])


def render_video(recipe: Recipe, folder: Path) -> None:
    """Render the video and its stills in one pass over the frames."""
    film = Film(recipe)
    encoder, options = ENCODERS[recipe.codec]
    sprites: list[Image.Image] = []
    with av.open(str(folder / VIDEO), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update({"title": LABEL, "comment": drawable(recipe.prompt)[:2000]})
        stream = container.add_stream(encoder, rate=FRAMES_PER_SECOND, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *film.size, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(film.frames):
            image = film.frame(number)
            while len(sprites) < SPRITES and number >= film.frames * (2 * len(sprites) + 1) // (2 * SPRITES):
                sprites.append(_sprite(image))
            if number == film.frames // 3:
                image.save(folder / THUMBNAIL, quality=82, method=2)
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _row(sprites).save(folder / SPRITESHEET, quality=80, comment=LABEL)


def _sprite(image: Image.Image) -> Image.Image:
    scale = SPRITE_SIDE / max(image.size)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX)
    label = plate(9)  # the frame's own label is too small to read at this size
    small.paste(label, (0, 0), label)
    return small


def _row(sprites: list[Image.Image]) -> Image.Image:
    width, height = sprites[0].size
    sheet = Image.new("RGB", (width * len(sprites), height))
    for place, sprite in enumerate(sprites):
        sheet.paste(sprite, (place * width, 0))
    return sheet


def _limit_self() -> None:
    os.nice(5)  # the server's answers have priority
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with_the_studio() -> None:
    sys.stdin.read()  # returns when the studio has ended, for whatever reason
    os._exit(1)


def main() -> None:
    """Render the recipe on standard input."""
    _limit_self()
    recipe = Recipe(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_die_with_the_studio, daemon=True).start()
    render(recipe, Path(sys.argv[1]))
    os._exit(0)  # a normal exit would wait for the thread above, which still reads standard input


if __name__ == "__main__":
    main()
