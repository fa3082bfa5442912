"""
The decoder process: ``python media_child.py FILE CONTENT_TYPE DIRECTORY [TASK]``.

Prints one JSON object, ``{"width", "height", "seconds", "stills": {kind: [width, height]}}`` or ``{"problem"}``, and writes the
stills to DIRECTORY under the names in `STILLS`. With the task ``reencode`` it re-encodes an uploaded image and prints
``{"width", "height", "name"}`` or ``{"problem"}``, a whole sentence.

It is run by its path with an empty environment and imports none of our modules, so that a malicious file can't harm the worker.
"""

import json
import re
import resource
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from PIL import Image

MEMORY_BYTES = 3 * 1024**3  # address space; native threads reserve a lot of it
PROCESSOR_SECONDS = 40
WRITTEN_BYTES = 32 * 1024**2
LONGEST_SIDE = 16_384
MOST_PIXELS = 70_000_000  # an 8K picture has 33 million
STILLS = {"thumbnail": "thumbnail.webp", "tile": "tile.webp", "spritesheet": "spritesheet.jpg"}
SIDES = {"thumbnail": (640, 80), "tile": (240, 70)}  # longest side in pixels, quality; a page may show hundreds of tiles
SHEET_FRAMES = 10  # the review page's scrubber expects ten frames in one row
SHEET_HEIGHT = 180
SHEET_LONGEST = 4_000  # width of the whole row in pixels
KEY_FRAMES_ONLY_SECONDS = 60  # of longer videos only key frames are decoded
FORMATS = {"video/mp4": "mp4", "video/webm": "matroska,webm"}
HEAD_BYTES = 4096
UPLOAD_MEMORY_BYTES = 1024**3
UPLOAD_PIXELS = 25_000_000  # a camera's 24 megapixels
UPLOAD_SIDE = 4_096  # of the image that is kept
UPLOAD_BYTES = 20_000_000  # as sent, and as kept
AFTER_THE_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the marker that ends the coded data of a JPEG
SEGMENT = b"\x18\x53\x80\x67"  # the EBML element with all of a WebM except its first bytes; its size follows


class Damaged(Exception):
    """The file can't be decoded to its end. The message says why."""


class Refused(Damaged):
    """The image can't be used. The message is a whole sentence for the person who sent it."""


def main(path: str, content_type: str, stills: str, task: str = "examine") -> dict[str, Any]:
    """Measure one file and write its stills, or re-encode it. Return the object to print."""
    limit(UPLOAD_MEMORY_BYTES if task == "reencode" else MEMORY_BYTES)
    look = reencode if task == "reencode" else examine_video if content_type in FORMATS else examine_image
    try:
        return look(path, content_type, Path(stills))
    except Damaged as problem:
        return {"problem": str(problem)}


def limit(memory_bytes: int) -> None:
    """Limit this process's memory, processor time, files and file sizes before any decoder code is loaded."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
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
    return {"width": width, "height": height, "seconds": None, "stills": write_thumbnails(still, stills)}


def examine_video(path: str, content_type: str, stills: Path) -> dict[str, Any]:
    import av

    try:
        # force the format: some FFmpeg formats open other files or URLs that are named in the file
        with av.open(path, format=FORMATS[content_type], options={"protocol_whitelist": "file"}) as container:
            if content_type == "video/webm" and _lacks_bytes(Path(path)):
                raise Damaged("it is shorter than it says.")
            return _examine_open_video(container, stills)
    except (av.FFmpegError, ValueError, EOFError) as problem:
        raise Damaged(str(problem).replace(path, "it")) from None


def _examine_open_video(container: "InputContainer", stills: Path) -> dict[str, Any]:
    if not container.streams.video:
        raise Damaged("it contains no video.")
    stream = container.streams.video[0]
    check_size(stream.width, stream.height)
    seconds = _length(container)
    container.seek(0)
    stream.thread_type = "AUTO"
    if seconds > KEY_FRAMES_ONLY_SECONDS:
        stream.codec_context.skip_frame = "NONKEY"
    moments = [seconds * (number + 0.5) / SHEET_FRAMES for number in range(SHEET_FRAMES)]
    frames = list(_frames_at(container, moments))
    if not frames:
        raise Damaged("it contains no readable frames.")
    poster = frames[len(frames) // 4].to_image()
    made = {**write_thumbnails(poster, stills), "spritesheet": write_sheet(frames, stills)}
    return {"width": stream.width, "height": stream.height, "seconds": round(seconds, 3), "stills": made}


def _length(container: "InputContainer") -> float:
    """
    Return the length of the video in seconds, measured by its packets.

    An MP4 declares a length per stream. A WebM declares one for all streams, which may count from zero although its clock starts
    later, or be the length of the sound: here the stream that ends last must reach it.

    :raises Damaged: packets are missing at the end, as in a cut download.
    """
    stream = container.streams.video[0]
    spans = {index: _span(moments) for index, moments in _packets(container).items()}
    begins, ends = spans[stream.index]
    if stream.duration and stream.time_base:
        said, reached = float(stream.duration * stream.time_base), ends - begins
    else:
        said, reached = (container.duration or 0) / 1_000_000, max(end for _, end in spans.values())
    # a single frame has no measurable length, so the declared one counts
    if ends > begins and reached < 0.9 * said - 0.5:
        raise Damaged(f"it ends after {reached:.1f}s of {said:.1f}s.")
    return ends - begins or said


def _packets(container: "InputContainer") -> dict[int, list[tuple[float, float]]]:
    """Return (start, duration) in seconds of each video and audio packet, by stream; the duration is 0 if not declared."""
    found: dict[int, list[tuple[float, float]]] = {container.streams.video[0].index: []}
    for packet in container.demux([*container.streams.video, *container.streams.audio]):
        if packet.pts is not None and packet.time_base is not None:
            moment = float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base)
            found.setdefault(packet.stream.index, []).append(moment)
    return {index: sorted(moments) for index, moments in found.items()}


def _span(moments: list[tuple[float, float]]) -> tuple[float, float]:
    """Return start and end of a stream in seconds. A last packet without a duration lasts as long as the one before it."""
    if not moments:
        return 0.0, 0.0
    gaps = [after[0] - before[0] for before, after in pairwise(moments[-2:])]
    last, lasts = moments[-1]
    return moments[0][0], max(last + (lasts or sum(gaps)), *(begins + lasts for begins, lasts in moments))


def _lacks_bytes(path: Path) -> bool:
    """Whether a WebM is shorter than the size it declares; one made for streaming declares none."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if SEGMENT not in head:
        return False
    after = head.index(SEGMENT) + len(SEGMENT)
    width = 9 - int.from_bytes(head[after : after + 1], "big").bit_length()  # a longer number begins with more zero bits
    most = (1 << 7 * width) - 1
    size = int.from_bytes(head[after : after + width], "big") & most
    return size != most and after + width + size > path.stat().st_size


def _frames_at(container: "InputContainer", moments: list[float]) -> Iterator["VideoFrame"]:
    """Yield the frame shown at each moment (seconds, ascending); repeat the last frame if the video ends early."""
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
        raise Damaged(f"the size {width} × {height} is not supported.")


def write_thumbnails(image: "Image.Image", stills: Path) -> dict[str, tuple[int, int]]:
    """Write a still in the sizes of `SIDES`, the largest first. Return the size of each."""
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    sizes = {}
    for kind, (side, quality) in SIDES.items():
        image.thumbnail((side, side))
        image.save(stills / STILLS[kind], "WEBP", quality=quality)
        sizes[kind] = image.size
    return sizes


def write_sheet(frames: list["VideoFrame"], stills: Path) -> tuple[int, int]:
    from PIL import Image

    shape = frames[0].width / frames[0].height
    width = max(1, min(round(SHEET_HEIGHT * shape), SHEET_LONGEST // SHEET_FRAMES))
    height = max(1, round(width / shape))
    sheet = Image.new("RGB", (width * SHEET_FRAMES, height))
    for number, frame in enumerate(frames):
        small = frame.to_image().resize((width, height))
        sheet.paste(small, (number * width, 0))
    sheet.save(stills / STILLS["spritesheet"], "JPEG", quality=75)
    return sheet.size


# --- uploads --------------------------------------------------------------------------------------------------------


def reencode(path: str, content_type: str, room: Path) -> dict[str, Any]:
    """
    Decode an uploaded image and re-encode it: JPEG, or PNG if it is transparent. Upright, in sRGB, its longest side at most
    `UPLOAD_SIDE`, and without anything but its pixels.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = UPLOAD_PIXELS
    try:
        check_end(content_type, Path(path).read_bytes())
        with Image.open(path, formats=[content_type.removeprefix("image/").upper()]) as image:
            check_upload(image, content_type)
            image.load()
            made = plain(image)
    except Image.DecompressionBombError:
        raise Refused(f"The image has more than {UPLOAD_PIXELS // 1_000_000} megapixels. Make it smaller.") from None
    except (OSError, ValueError, SyntaxError, OverflowError, MemoryError, EOFError):
        raise Refused("The image is damaged: it can't be decoded to its end. Save it again and upload that.") from None
    return written(made, room)


def check_upload(image: "Image.Image", content_type: str) -> None:
    """:raises Refused: by its head, the image is too large, or a film."""
    width, height = image.size
    if width * height > UPLOAD_PIXELS:
        megapixels, most = width * height / 1_000_000, UPLOAD_PIXELS // 1_000_000
        raise Refused(f"The image has {megapixels:,.1f} megapixels ({width} × {height}); the limit is {most}. Make it smaller.")
    # a photograph may carry a second one, such as its depth
    if content_type != "image/jpeg" and getattr(image, "n_frames", 1) > 1:
        raise Refused("Animated images can't be used. Save one frame as an image.")


def plain(image: "Image.Image") -> "Image.Image":
    """Return the pixels of an image alone, upright and in sRGB."""
    from PIL import Image, ImageOps

    upright: Image.Image = image
    with suppress(OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):  # broken notes: as it lies
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits of grey
        upright = upright.point(lambda value: value * (1 / 256)).convert("L")
    wanted = "RGBA" if upright.has_transparency_data else "RGB"
    shown = _in_srgb(upright, image.info.get("icc_profile"), wanted).convert(wanted)
    shown.thumbnail((UPLOAD_SIDE, UPLOAD_SIDE))
    clean = Image.new(wanted, shown.size)  # a copy would keep comments and profiles, which are written out again
    clean.paste(shown)
    return clean


def _in_srgb(image: "Image.Image", profile: bytes | None, wanted: str) -> "Image.Image":
    from PIL import ImageCms

    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a broken profile: the numbers as they are
            theirs, ours = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, theirs, ours, outputMode=wanted if image.mode == "RGBA" else "RGB")
            return converted or image
    return image


def written(image: "Image.Image", room: Path) -> dict[str, Any]:
    """:raises Refused: re-encoded, the file is too large to keep."""
    name = "image.png" if image.mode == "RGBA" else "image.jpg"
    try:
        image.save(room / name, **({"format": "PNG"} if image.mode == "RGBA" else {"format": "JPEG", "quality": 92}))
        is_small = (room / name).stat().st_size <= UPLOAD_BYTES
    except OSError:  # beyond this process's limit
        is_small = False
    if not is_small:
        raise Refused("The image is too detailed to keep. Make it smaller, or save it without transparency.")
    return {"width": image.width, "height": image.height, "name": name}


def check_end(content_type: str, data: bytes) -> None:
    """
    Check that a file is one image and nothing else, so that it can't be taken for another kind of file.

    :raises Refused: the image ends before or after the file does.
    """
    ends = {"image/png": _end_of_png, "image/jpeg": _end_of_jpeg, "image/webp": _end_of_webp}[content_type](data)
    if ends is None or ends > len(data):
        raise Refused("The image is cut off: the end of the file is missing. Save it again and upload that.")
    rest = data[ends:].strip(b"\0")
    # phones append a film, a second picture or their own notes to a photograph
    is_camera = data[ends : ends + 3] == b"\xff\xd8\xff" or data[ends + 4 : ends + 8] == b"ftyp" or rest.endswith(b"SEFT")
    if rest and not (is_camera and content_type == "image/jpeg"):
        raise Refused("The file goes on after its image ends. Save it again as an image and upload that.")


def _end_of_png(data: bytes) -> int | None:
    place = 8
    while place + 12 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        place += 12 + size
        if kind == b"IEND":
            return place
    return None


def _end_of_jpeg(data: bytes) -> int | None:
    place = 2
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xD9:
            return place + 2
        if marker == 0xFF:  # padding
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            place += 2
        else:
            place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
            if marker == 0xDA:
                found = AFTER_THE_SCAN.search(data, place)
                if found is None:
                    return None
                place = found.start()
    return None


def _end_of_webp(data: bytes) -> int | None:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
