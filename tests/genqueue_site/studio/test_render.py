"""The renderer without the server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops

from genqueue_site.studio.film import LONGER_SIDE, Film
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.lettering import FONTS, drawable, font
from genqueue_site.studio.rendering import RenderFailed, Rendering

WHALE = Recipe(prompt="A whale – über é", model="sora-2", seed=1, width=320, height=180, seconds=1.5, codec="vp9")


class TestARender:
    def test_in_h264_is_as_long_as_asked(self, tmp_path: Path) -> None:
        Rendering().run(replace(WHALE, codec="h264"), tmp_path)
        with av.open(str(tmp_path / "video.mp4")) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert len(list(container.decode(video=0))) == 36

    def test_that_crashes_tells_its_last_words(self, tmp_path: Path) -> None:
        with pytest.raises(RenderFailed, match="status 1: KeyError: 'theora'"):
            Rendering().run(replace(WHALE, codec="theora"), tmp_path)

    def test_killed_before_it_began_never_begins(self, tmp_path: Path) -> None:
        rendering = Rendering()
        rendering.kill()
        with pytest.raises(RenderFailed):
            rendering.run(WHALE, tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestPictures:
    @pytest.mark.parametrize(("codec", "ending"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
    def test_come_in_their_format_and_each_is_another(self, tmp_path: Path, codec: str, ending: str) -> None:
        recipe = replace(WHALE, codec=codec, width=2048, height=1152, count=2)
        (tmp_path / "again").mkdir()
        for folder in (tmp_path, tmp_path / "again"):
            Rendering().run(recipe, folder)
        names = [f"image-0.{ending}", f"image-1.{ending}"]
        assert recipe.files == names
        pictures = [Image.open(tmp_path / name) for name in names]
        assert [(picture.format, picture.size) for picture in pictures] == [(codec.upper(), (1024, 576))] * 2
        first, second = ((tmp_path / name).read_bytes() for name in names)
        assert first != second
        assert (tmp_path / "again" / names[0]).read_bytes() == first


class TestAFilm:
    def test_moves_and_changes_with_its_seed(self) -> None:
        film = Film(WHALE)
        assert differ(film.frame(0), film.frame(5))
        assert differ(film.frame(0), Film(replace(WHALE, seed=2)).frame(0))
        assert not differ(film.frame(7), Film(WHALE).frame(7))

    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            ((1280, 720), (640, 360)),
            ((720, 1280), (360, 640)),
            ((1792, 1024), (640, 366)),
            ((64, 64), (64, 64)),
            ((64, 2048), (20, 640)),
        ],
    )
    def test_keeps_the_shape_within_640_pixels(self, asked: tuple[int, int], given: tuple[int, int]) -> None:
        width, height = asked
        assert replace(WHALE, width=width, height=height).size_within(LONGER_SIDE) == given

    @pytest.mark.parametrize(("side", "given"), [(1280, (1280, 720)), (160, (160, 90)), (64, (64, 36))])
    def test_may_be_smaller_in_the_same_shape(self, side: int, given: tuple[int, int]) -> None:
        small = replace(WHALE, width=1280, height=720).within(side)
        assert (small.width, small.height) == given


class TestLettering:
    def test_has_a_glyph_of_its_own_for_the_letters_of_europe(self) -> None:
        assert FONTS[0].is_file()
        missing = bytes(font(24).getmask("\U0010ffff"))
        for letter in "é–üßñøŁžЖΩ…":
            assert bytes(font(24).getmask(letter)) != missing

    def test_draws_half_a_surrogate_pair_as_a_question_mark(self) -> None:
        assert drawable("a\ud800b") == "a?b"


def differ(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None
