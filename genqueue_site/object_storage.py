"""Files in S3 or a compatible object storage (`MEDIA_STORAGE`, extra ``s3``)."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, BinaryIO

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage


def _raising_os_errors(name: str) -> Callable[..., Any]:
    """Return a method that calls the base class's, and raises OSError as a local storage does."""

    def method(self: S3Storage, *args: Any, **options: Any) -> Any:
        try:
            return getattr(super(ObjectStorage, self), name)(*args, **options)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise _as_os_error(error) from error

    return method


def _as_os_error(error: Exception) -> OSError:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else None
    return FileNotFoundError(str(error)) if status == HTTPStatus.NOT_FOUND else OSError(f"The object storage failed: {error}")


class ObjectStorage(S3Storage):  # type: ignore[misc]
    """Private objects, never overwritten. A failure is an OSError, so that callers need to know one kind of storage only."""

    _open, _save, delete, exists, listdir, size, get_modified_time = map(
        _raising_os_errors, ("_open", "_save", "delete", "exists", "listdir", "size", "get_modified_time")
    )

    def get_default_settings(self) -> dict[str, Any]:
        """A worker must not wait for a storage as long as the library would, which is minutes: its lease ends before."""
        limits = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})  # seconds
        return {**super().get_default_settings(), "client_config": limits}

    def open_from(self, name: str, first: int) -> BinaryIO:
        """Open an object at a byte without fetching what is before it; `open` fetches the whole object first."""
        try:
            body: BinaryIO = self.open(name).obj.get(Range=f"bytes={first}-")["Body"]
        except (BotoCoreError, ClientError) as error:
            raise _as_os_error(error) from error
        return body
