"""The pages' typeface, served as a static file from its Python package, so that pages look the same on every machine."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage

# static name → (package, file); the name contains the version, as browsers cache it for a year (WHITENOISE_IMMUTABLE_FILE_TEST)
FONTS = {"gq/fonts/inter-4.1.ttf": ("fontpkg_inter", "files/Inter[opsz,wght].ttf")}


class FontStorage(FileSystemStorage):
    """Storage of the fonts under their static names."""

    def path(self, name: str) -> str:
        package, file = FONTS[name.replace("\\", "/")]
        return str(files(package).joinpath(file))


class FontFinder(BaseFinder):
    storage = FontStorage()

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return the path of a font, or a list of it with ``find_all``; an empty list for other names, as Django's finders do."""
        if path not in FONTS:
            return []
        place = self.storage.path(path)
        return [place] if find_all else place

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[Any]:
        return ((name, self.storage) for name in FONTS if not matches_patterns(name, ignore_patterns or ()))
