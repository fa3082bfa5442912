"""
The decoder's own process: ``python media_child.py FILE CONTENT_TYPE DIRECTORY``.

Prints one JSON object, ``{"width", "height", "seconds", "stills": {kind: [width, height]}}`` or ``{"problem"}``, and leaves the
stills in DIRECTORY under their names in `STILLS`. It is run by its path with an empty environment, so it imports nothing of
ours; whatever the file does to it, the worker goes on.
"""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from PIL import Image

MEMORY_BYTES = 3 * 1024**3  # address space, which native threads spend freely
PROCESSOR_SECONDS = 40
WRITTEN_BYTES = 32 * 1024**2
LONGEST_SIDE = 16_384
MOST_PIXELS = 70_000_000  # an 8K picture has 33 million
STILLS = {"thumbnail": "thumbnail.webp", "spritesheet": "spritesheet.jpg"}
THUMBNAIL_SIDE = 640
SHEET_FRAMES = 10  # the scrubber of the review page counts on ten in one row
SHEET_HEIGHT = 180
SHEET_LONGEST = 4_000  # pixels of the whole row
KEY_FRAMES_ONLY_SECONDS = 60  # longer videos are not decoded whole for ten stills
FORMATS = {"video/mp4": "mp4", "video/webm": "matroska,webm"}


class Damaged(Exception):
    """The file cannot be decoded to its end; says why."""


def main(path: str, content_type: str, stills: str) -> dict[str, Any]:
    """Measure one file and leave its stills."""
    limit()
    look = examine_video if content_type in FORMATS else examine_image
    try:
        return look(path, content_type, Path(stills))
    except Damaged as problem:
        return {"problem": str(problem)}


def limit() -> None:
    """Give up what a decoder has no business with, before any of its code is loaded."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, PROCESSOR_SECONDS),
        (resource.RLIMIT_FSIZE, WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def examine_image(path: str, content_type: str, stills: Path) -> dict[str, Any]:
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses at twice that
    try:
        with Image.open(path, formats=[content_type.removeprefix("image/").upper()]) as image:
            width, height = image.size
            check_size(width, height)
            image.load()
            still = ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise Damaged(str(problem).replace(path, "it")) from None
    made = {"thumbnail": write_thumbnail(still, stills)}
    return {"width": width, "height": height, "seconds": None, "stills": made}


def examine_video(path: str, content_type: str, stills: Path) -> dict[str, Any]:
    import av

    try:
        # the format is forced: others of FFmpeg's would open further files or addresses that a file names
        with av.open(path, format=FORMATS[content_type], options={"protocol_whitelist": "file"}) as container:
            return _examine_open_video(container, stills)
    except (av.FFmpegError, ValueError, EOFError) as problem:
        raise Damaged(str(problem).replace(path, "it")) from None


def _examine_open_video(container: "InputContainer", stills: Path) -> dict[str, Any]:
    if not container.streams.video:
        raise Damaged("it has no video in it.")
    stream = container.streams.video[0]
    check_size(stream.width, stream.height)
    seconds, ends = _length(container)
    if ends < 0.9 * seconds - 0.5:
        raise Damaged(f"it ends after {ends:.1f} of {seconds:.1f} s.")
    container.seek(0)
    stream.thread_type = "AUTO"
    if seconds > KEY_FRAMES_ONLY_SECONDS:
        stream.codec_context.skip_frame = "NONKEY"
    moments = [seconds * (number + 0.5) / SHEET_FRAMES for number in range(SHEET_FRAMES)]
    frames = list(_frames_at(container, moments))
    if not frames:
        raise Damaged("no picture in it can be decoded.")
    poster = frames[len(frames) // 4].to_image()  # type: ignore[no-untyped-call]
    made = {"thumbnail": write_thumbnail(poster, stills), "spritesheet": write_sheet(frames, stills)}
    return {"width": stream.width, "height": stream.height, "seconds": round(seconds, 3), "stills": made}


def _length(container: "InputContainer") -> tuple[float, float]:
    """Say how long the video claims to be and when its last packet ends, in seconds; a cut download lacks packets."""
    stream = container.streams.video[0]
    first, last = float("inf"), 0.0
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base is not None:
            first = min(first, float(packet.pts * packet.time_base))
            last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    ends = max(0.0, last - min(first, last))
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base), ends
    return (container.duration or 0) / 1_000_000 or ends, ends


def _frames_at(container: "InputContainer", moments: list[float]) -> Iterator["VideoFrame"]:
    """Give the frame shown at each moment; the last one again where the video ends early."""
    waiting = list(moments)
    frame = starts = None
    for frame in container.decode(container.streams.video[0]):
        starts = (frame.time or 0.0) if starts is None else starts
        while waiting and (frame.time or 0.0) - starts + 1e-6 >= waiting[0]:
            waiting.pop(0)
            yield frame
        if not waiting:
            return
    if frame is not None:
        yield from [frame] * len(waiting)


def check_size(width: int, height: int) -> None:
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE and width * height <= MOST_PIXELS):
        raise Damaged(f"{width} × {height} pixels are not a size that we keep.")


def write_thumbnail(image: "Image.Image", stills: Path) -> tuple[int, int]:
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    image.save(stills / STILLS["thumbnail"], "WEBP", quality=80)
    return image.size


def write_sheet(frames: list["VideoFrame"], stills: Path) -> tuple[int, int]:
    from PIL import Image

    shape = frames[0].width / frames[0].height
    width = max(1, min(round(SHEET_HEIGHT * shape), SHEET_LONGEST // SHEET_FRAMES))
    height = max(1, round(width / shape))
    sheet = Image.new("RGB", (width * SHEET_FRAMES, height))
    for number, frame in enumerate(frames):
        small = frame.to_image().resize((width, height))  # type: ignore[no-untyped-call]
        sheet.paste(small, (number * width, 0))
    sheet.save(stills / STILLS["spritesheet"], "JPEG", quality=75)
    return sheet.size


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
