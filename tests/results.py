"""What was bought: a file can be read to its end, and is as long and of the shape that was ordered."""

import io
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import av
from PIL import Image

Ordered = Mapping[str, Any]
SHAPE_APART = 0.02  # by which a ratio may differ: sides are even, and some of a vendor's sizes only nearly have their name
SECONDS_APART = 0.1


def assert_opens(content_type: str, content: bytes, ordered: Ordered) -> None:
    """Assert that a file of this type can be read and has what was ordered, as far as the parameters say."""
    _READERS[content_type](content, ordered)


def _image(content: bytes, ordered: Ordered) -> None:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        _assert_shape(image.size, ordered)


def _video(content: bytes, ordered: Ordered) -> None:
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        assert stream.average_rate is not None
        assert abs(frames / stream.average_rate - ordered["duration"]) < SECONDS_APART
        _assert_shape((stream.width, stream.height), ordered)


def _text(content: bytes, _: Ordered) -> None:
    assert content.decode().strip()


def _page(content: bytes, _: Ordered) -> None:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)  # type: ignore[method-assign]
    parser.feed(content.decode())
    assert found[:1] == ["html"]


def _assert_shape(size: tuple[int, int], ordered: Ordered) -> None:
    if "aspect_ratio" in ordered:
        width, height = map(int, ordered["aspect_ratio"].split(":"))
        assert abs(size[0] / size[1] * height / width - 1) < SHAPE_APART, f"{size} is not {ordered['aspect_ratio']}"


_READERS: Mapping[str, Callable[[bytes, Ordered], None]] = {
    **dict.fromkeys(("image/png", "image/jpeg", "image/webp"), _image),
    **dict.fromkeys(("video/mp4", "video/webm"), _video),
    "text/plain": _text,
    "text/html": _page,
}
