"""The pages' typeface, served as a static file from the package that brings it: no page takes whatever a machine has."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage

# static address → package, file; the address has the version, as browsers keep it for a year (WHITENOISE_IMMUTABLE_FILE_TEST)
FONTS = {"gq/fonts/inter-4.1.ttf": ("fontpkg_inter", "files/Inter[opsz,wght].ttf")}


class FontStorage(FileSystemStorage):
    """Files under other names than their own."""

    def path(self, name: str) -> str:
        package, file = FONTS[name.replace("\\", "/")]
        return str(files(package).joinpath(file))


class FontFinder(BaseFinder):
    storage = FontStorage()

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Where it is, or all places where it is: none for what is no font of ours, as Django's finders say it."""
        if path not in FONTS:
            return []
        place = self.storage.path(path)
        return [place] if find_all else place

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[Any]:
        return ((name, self.storage) for name in FONTS if not matches_patterns(name, ignore_patterns or ()))
