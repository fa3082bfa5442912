"""Files in S3 or a compatible object storage (`MEDIA_STORAGE`, extra ``s3``)."""

from collections.abc import Callable
from typing import Any, BinaryIO

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage


def _raising_os_errors(name: str) -> Callable[..., Any]:
    """Return a method that calls the base class's, and raises OSError as a local storage does."""

    def method(self: S3Storage, *args: Any, **options: Any) -> Any:
        try:
            return getattr(super(ObjectStorage, self), name)(*args, **options)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise OSError(f"The object storage failed: {error}") from error

    return method


class ObjectStorage(S3Storage):  # type: ignore[misc]
    """Private objects, never overwritten. A failure is an OSError, so that callers need to know one kind of storage only."""

    _open, _save, delete, exists, listdir, size, get_modified_time = map(
        _raising_os_errors, ("_open", "_save", "delete", "exists", "listdir", "size", "get_modified_time")
    )

    def open_from(self, name: str, first: int) -> BinaryIO:
        """Open an object at a byte without fetching what is before it; `open` fetches the whole object first."""
        try:
            body: BinaryIO = self.open(name).obj.get(Range=f"bytes={first}-")["Body"]
        except (BotoCoreError, ClientError) as error:
            raise OSError(f"The object storage failed: {error}") from error
        return body
