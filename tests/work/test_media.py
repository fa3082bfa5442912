"""Content checks: a file's bytes decide, and a decoder that may crash without harm."""

import subprocess
import sys
from fractions import Fraction

import av
import pytest
from PIL import Image

from queue_app.work import media, media_child
from tests import images

BOMBS = [
    "a PNG of 256 megapixels",
    "a PNG that says 50,000 × 50,000",
    "a PNG that says 2 billion pixels wide",
    "a JPEG that says 65,500 × 65,500",
    "a PNG with a text of 80 MB",
    "a PNG with a profile of 80 MB",
]
GIFS_AND_DRAWINGS = ["a GIF of 10,000 frames", "an SVG of a billion laughs"]


def refused(kind, path, room):
    with pytest.raises(media.NotUsable) as refusal:
        media.examine(kind, path, room)
    return refusal.value.code


def with_pictures_of(film: bytes, width: int, height: int) -> bytes:
    """Return a film with another size at the head of each VP9 key frame: 4 bits after the sync code, 16 bits each, less one."""
    parts = film.split(b"\x49\x83\x42")
    for number, part in enumerate(parts[1:], 1):
        head = int.from_bytes(part[:5], "big")
        head = (head >> 36 << 36) | (width - 1) << 20 | (height - 1) << 4 | (head & 0xF)
        parts[number] = head.to_bytes(5, "big") + part[5:]
    return b"\x49\x83\x42".join(parts)


class TestSniff:
    @pytest.mark.parametrize(("container", "expected"), [("mp4", "video/mp4"), ("webm", "video/webm")])
    def test_names_films(self, film, container, expected):
        assert media.sniff(film(container)) == expected

    @pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
    def test_names_pictures_whatever_they_are_called(self, tmp_path, form):
        Image.new("RGB", (8, 8)).save(tmp_path / "film.mp4", form)

        assert media.sniff(tmp_path / "film.mp4") == f"image/{form}"

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"<!DOCTYPE html><title>Page</title>", "text/html"),
            ("\ufeff\n<html lang=de>Grüße".encode(), "text/html"),
            ("# Überschrift\n\nText.".encode(), "text/plain"),
        ],
    )
    def test_names_text(self, tmp_path, content, expected):
        (tmp_path / "page").write_bytes(content)

        assert media.sniff(tmp_path / "page") == expected

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"   \n",
            b"\0\0\0 ftypavif\0\0\0\0avifmif1",
            b"\0\0\0 ftypheic\0\0\0\0",
            b"GIF89a\x01\x00\x01\x00",
            b"PK\x03\x04" + bytes(50),
            b"\x1a\x45\xdf\xa3\x42\x82\x88matroska",
            "Grüße".encode("latin-1"),
            b"text with a bell \x07",
        ],
    )
    def test_refuses_the_rest(self, tmp_path, content):
        (tmp_path / "thing").write_bytes(content)

        with pytest.raises(media.NotUsable, match="Unsupported file type"):
            media.sniff(tmp_path / "thing")


class TestExamine:
    @pytest.mark.parametrize("container", ["mp4", "webm"])
    def test_measures_a_film_and_makes_its_stills(self, film, tmp_path, container):
        video, thumbnail, tile, sheet = media.examine("video", film(container), tmp_path)

        assert (video.width, video.height, video.seconds) == (320, 180, pytest.approx(2, abs=0.1))
        assert (thumbnail.kind, thumbnail.content_type, thumbnail.width, thumbnail.height) == (
            "thumbnail",
            "image/webp",
            320,
            180,
        )
        assert (tile.kind, tile.content_type, tile.width, tile.height) == ("tile", "image/webp", 240, 135)
        assert (sheet.kind, sheet.content_type, sheet.width, sheet.height) == ("spritesheet", "image/jpeg", 3200, 180)
        assert Image.open(sheet.path).size == (3200, 180)

    def test_shows_ten_different_moments(self, film, tmp_path):
        sheet = Image.open(media.examine("video", film(), tmp_path)[-1].path)

        reds = [sheet.getpixel((320 * number + 160, 90))[0] for number in range(10)]
        assert len({round(red / 4) for red in reds}) == 10

    def test_keeps_a_tall_film_tall(self, film, tmp_path):
        _, thumbnail, tile, sheet = media.examine("video", film(size=(180, 320)), tmp_path)

        assert (thumbnail.width, thumbnail.height) == (180, 320)
        assert (tile.width, tile.height) == (135, 240)
        assert (sheet.width, sheet.height) == (1010, 180)

    @pytest.mark.parametrize("container", ["mp4", "webm"])
    @pytest.mark.parametrize("odd", [{"sound": 3.5}, {"begins": 3}, {"sound": 1}], ids=str)
    def test_a_film_is_as_long_as_its_pictures_whatever_its_sound_and_its_clock_say(self, film, tmp_path, container, odd):
        video, *_, sheet = media.examine("video", film(container, **odd), tmp_path)

        reds = [Image.open(sheet.path).getpixel((320 * number + 160, 90))[0] for number in range(10)]
        assert video.seconds == pytest.approx(2, abs=0.1)
        assert len({round(red / 4) for red in reds}) == 10

    def test_takes_a_film_whose_packets_do_not_say_how_long_they_last(self, tmp_path):
        """A slide show with three pictures of 2 s each; the last ends at the end that the file declares."""
        with av.open(str(tmp_path / "slides"), "w", format="webm") as output:
            stream = output.add_stream("libvpx-vp9", rate=Fraction(1, 2), options={"deadline": "realtime", "cpu-used": "8"})
            stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
            for number in range(3):
                output.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 36), (number * 90, 90, 200)))))
            output.mux(stream.encode())
        slides = (tmp_path / "slides").read_bytes()
        said = slides.index(b"\x23\xe3\x83\x84")  # replace the duration of a picture by padding of the same size
        (tmp_path / "slides").write_bytes(slides[:said] + b"\xec\x86......" + slides[said + 8 :])

        assert media.examine("video", tmp_path / "slides", tmp_path)[0].seconds == pytest.approx(6, abs=0.1)

    def test_measures_a_picture(self, tmp_path):
        Image.new("RGBA", (1600, 900), (1, 2, 3, 4)).save(tmp_path / "picture", "PNG")

        picture, thumbnail, tile = media.examine("image", tmp_path / "picture", tmp_path)

        assert (picture.width, picture.height, picture.seconds) == (1600, 900, None)
        assert (thumbnail.width, thumbnail.height) == (640, 360)
        assert (tile.width, tile.height) == (240, 135)

    def test_takes_a_page_as_it_is(self, tmp_path):
        (tmp_path / "page").write_text("<html></html>")

        assert media.examine("page", tmp_path / "page", tmp_path) == [media.Piece("page", tmp_path / "page", "text/html")]

    @pytest.mark.parametrize("odd", [{}, {"sound": 3.5}, {"begins": 3}], ids=str)
    @pytest.mark.parametrize("container", ["mp4", "webm"])
    def test_refuses_half_a_film(self, film, tmp_path, container, odd):
        whole = film(container, **odd).read_bytes()
        (tmp_path / "half").write_bytes(whole[: len(whole) * 6 // 10])

        assert refused("video", tmp_path / "half", tmp_path) == "damaged"

    def test_refuses_a_head_with_nothing_behind_it(self, film, tmp_path):
        (tmp_path / "zeros").write_bytes(film().read_bytes()[:48] + bytes(100_000))

        assert refused("video", tmp_path / "zeros", tmp_path) == "damaged"

    def test_refuses_half_a_picture(self, tmp_path):
        Image.effect_noise((300, 300), 50).save(tmp_path / "picture", "JPEG")
        (tmp_path / "half").write_bytes((tmp_path / "picture").read_bytes()[:5_000])

        assert refused("image", tmp_path / "half", tmp_path) == "damaged"

    @pytest.mark.parametrize("name", BOMBS)
    def test_refuses_a_bomb(self, tmp_path, name):
        """Of a few kilobytes that would be hundreds of megabytes or more once they are decoded."""
        (tmp_path / "bomb").write_bytes(images.REFUSED[name][0]())

        assert refused("image", tmp_path / "bomb", tmp_path) == "damaged"

    @pytest.mark.parametrize("name", GIFS_AND_DRAWINGS)
    def test_does_not_even_try_to_decode_another_type(self, tmp_path, name):
        (tmp_path / "bomb").write_bytes(images.REFUSED[name][0]())

        assert refused("image", tmp_path / "bomb", tmp_path) == "wrong_type"

    @pytest.mark.parametrize("container", ["mp4", "webm"])
    @pytest.mark.parametrize("size", [(65_536, 65_536), (12_000, 12_000)])
    def test_refuses_a_film_whose_pictures_are_huge(self, film, tmp_path, container, size):
        plain = film(container).read_bytes()
        assert with_pictures_of(plain, 320, 180) == plain
        (tmp_path / "huge").write_bytes(with_pictures_of(plain, *size))

        assert refused("video", tmp_path / "huge", tmp_path) in ("damaged", "unreadable")

    def test_refuses_a_picture_for_a_film(self, tmp_path):
        Image.new("RGB", (8, 8)).save(tmp_path / "picture", "PNG")

        assert refused("video", tmp_path / "picture", tmp_path) == "wrong_type"

    def test_outlives_a_decoder_that_crashes(self, film, tmp_path, monkeypatch):
        crashing = tmp_path / "crashing.py"
        crashing.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
        monkeypatch.setattr(media_child, "__file__", str(crashing))

        assert refused("video", film(), tmp_path) == "unreadable"

    def test_ends_a_decoder_that_hangs(self, film, tmp_path, monkeypatch):
        hanging = tmp_path / "hanging.py"
        hanging.write_text("import time; time.sleep(60)")
        monkeypatch.setattr(media_child, "__file__", str(hanging))
        monkeypatch.setattr(media, "CHILD_SECONDS", 0.5)

        assert refused("video", film(), tmp_path) == "unreadable"


class TestTheDecodersLimits:
    def test_hold_before_any_decoder_is_loaded(self):
        program = f"""
import sys; sys.path.insert(0, {str(media_child.__file__.rpartition("/")[0])!r})
import media_child; media_child.limit(media_child.MEMORY_BYTES)
assert "av" not in sys.modules and "PIL" not in sys.modules
bytearray(media_child.MEMORY_BYTES)
"""
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)

        assert "MemoryError" in done.stderr

    def test_give_it_none_of_our_environment(self, film, tmp_path, monkeypatch):
        telling = tmp_path / "telling.py"
        telling.write_text("import json, os; print(json.dumps({'problem': ' '.join(os.environ)}))")
        monkeypatch.setattr(media_child, "__file__", str(telling))
        monkeypatch.setenv("FAL_KEY", "secret")

        with pytest.raises(media.NotUsable) as told:
            media.examine("video", film(), tmp_path)

        assert "FAL_KEY" not in str(told.value)
