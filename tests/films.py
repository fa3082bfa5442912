"""Video files as tests need them: real ones, made in a moment."""

from fractions import Fraction
from pathlib import Path

import av
from PIL import Image


def still(path: Path, size: tuple[int, int] = (320, 180)) -> Path:
    """Make a picture."""
    Image.new("RGB", size, (40, 90, 200)).save(path)
    return path


def make(path: Path, *, seconds: float = 2, size: tuple[int, int] = (320, 180), begins: int = 0, sound: float = 0) -> Path:
    """
    Make a video file, an MP4 with its index first if the name ends so.

    :param begins: the time of the first frame on the file's own clock, in seconds.
    :param sound: the length of its silent audio in seconds.
    """
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as output:
        stream = output.add_stream("libvpx-vp9", rate=24, options={"deadline": "realtime", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        silence = output.add_stream("libopus", rate=48_000, layout="mono") if sound else None
        for number in range(int(seconds * 24)):
            picture = av.VideoFrame.from_image(Image.new("RGB", size, (number * 5 % 256, 90, 200)))
            picture.pts, picture.time_base = begins * 24 + number, Fraction(1, 24)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
        for number in range(int(sound * 50)):
            piece = av.AudioFrame(format="s16", layout="mono", samples=960)
            piece.planes[0].update(bytes(piece.planes[0].buffer_size))
            piece.sample_rate, piece.pts, piece.time_base = 48_000, number * 960, Fraction(1, 48_000)
            output.mux(silence.encode(piece))
        if silence:
            output.mux(silence.encode())
    return path
