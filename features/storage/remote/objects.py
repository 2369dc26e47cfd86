"""A shared store behind a driver of fsspec: S3 and what speaks it; other object stores to read from.

S3 writes a name on the condition that its ETag is still the one that was read (If-Match), or that it does not exist (If-None-Match):
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html. Retries are those of the driver and of botocore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.errors import StorageError
from features.storage.remote.config import S3

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from features.storage.remote.config import StorageConfig

    T = TypeVar("T")

ATTEMPTS = 2  # of botocore for a call, and of the driver around it: a server that is down is told within four timeouts
# Codes of a condition that does not hold; the last two are of a name that somebody has removed.
_LOST = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"}
_NO_BUCKET = "its bucket does not exist: create it, or correct storage.url"
_REFUSED = "its credentials are refused: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile or the role"
_DENIED = "access is denied: the credentials need the rights to read, and for publishers to write, list and delete"
_REGION = "its bucket lies in another region: set storage.region"
_WORDS = {
    **dict.fromkeys(("NoSuchBucket", "InvalidBucketName"), _NO_BUCKET),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"), _REFUSED),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "403"), _DENIED),
    **dict.fromkeys(("PermanentRedirect", "301", "307", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), _REGION),
    **dict.fromkeys(("NoSuchKey", "404"), "it lacks an object: publish again with `recsys push --all`"),
    "RequestTimeTooSkewed": "its clock and this machine's differ: set the clock",
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "503"), "it asks for fewer requests: try again later"),
}
_NO_CREDENTIALS = "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
_WORDS_OF_TYPES = {
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound"), _NO_CREDENTIALS),
    "FileNotFoundError": _WORDS["NoSuchKey"],
    "PermissionError": _DENIED,
}


class ObjectStore:
    """Implements `features.storage.remote.store.SharedStore` over a file system of fsspec."""

    def __init__(self, config: StorageConfig) -> None:
        self.url, self._scheme, self._root = config.address, config.scheme, config.place
        self._files: Any = _file_system(config)

    def tag(self, name: str) -> str | None:
        """Return the ETag of an object, or what else of its facts changes with its content; None without the object."""

        def look() -> str | None:
            try:
                facts = self._files.info(self._path(name))
            except FileNotFoundError as error:
                if _code(error) in (None, "NoSuchKey", "404"):
                    return None
                raise
            return str(facts.get("ETag") or self._files.ukey(self._path(name)))

        return self._told(look)

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        return self._told(lambda: self._files.cat_file(self._path(name)))

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object into a local file."""
        self._told(lambda: self._files.get_file(self._path(name), str(path)))

    def send(self, name: str, path: Path) -> None:
        """Store a file, a large one in parts."""
        self._told(lambda: self._files.put_file(str(path), self._path(name)))

    def swap(self, name: str, content: bytes, expected: str | None) -> bool:
        """Write an object on the condition that its ETag is the expected one."""
        if self._scheme != S3:
            advice = "publish to a store that speaks S3 or to a folder"
            raise StorageError(
                f"{self.url}: two publishers could collide, because {self._scheme}:// has no conditional write here: {advice}"
            )
        condition = {"mode": "create"} if expected is None else {"IfMatch": expected}

        def write() -> bool:
            try:
                self._files.pipe_file(self._path(name), content, **condition)
            except OSError as error:
                if not isinstance(error, FileExistsError) and _code(error) not in _LOST:
                    raise
                # A retry after a reply that was lost finds its own content, and that is no other publisher's.
                return self._files.exists(self._path(name)) and self._files.cat_file(self._path(name)) == content
            return True

        return self._told(write)

    def names(self, folder: str) -> list[str]:
        """Return the names of all objects below a folder."""
        found = self._told(lambda: self._files.find(self._path(folder)))
        return sorted(path.removeprefix("/").removeprefix(f"{self._root}/") for path in found)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects."""
        if names:
            self._told(lambda: self._files.rm([self._path(name) for name in names]))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _told(self, call: Callable[[], T]) -> T:
        """Call the driver; turn whatever it raises into one line without addresses of requests, which may hold signatures."""
        try:
            return call()
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"the shared store {self.url} cannot be used: {_words(error)}; what is in use stays") from error


def _file_system(config: StorageConfig) -> Any:
    """Return the driver of a URL. Raises StorageError if it is not installed."""
    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if config.scheme == S3:
        seconds = config.timeout_seconds
        retries = {"total_max_attempts": ATTEMPTS, "mode": "standard"}
        options["config_kwargs"] = {"connect_timeout": seconds, "read_timeout": seconds, "retries": retries}
        options |= {"endpoint_url": config.endpoint} if config.endpoint else {}
        options |= {"client_kwargs": {"region_name": config.region}} if config.region else {}
    try:
        import fsspec

        files = fsspec.filesystem(config.scheme, **options)
    except ImportError as error:
        advice = f'pip install "two-tower-recsys[{S3}]"' if config.scheme == S3 else "install the driver of fsspec for it"
        raise StorageError(f"storage.url begins with {config.scheme}://, and its driver is not installed: {advice}") from error
    except ValueError as error:
        raise StorageError(f"storage.url begins with {config.scheme}://, unknown to fsspec: give s3://BUCKET/PREFIX or a folder") from error
    if config.scheme == S3:
        files.retries = ATTEMPTS
    return files


def _code(error: BaseException | None) -> str | None:
    """Return the code of S3's answer that lies behind an error; None if there is none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
        error = error.__cause__ or error.__context__
    return None


def _words(error: BaseException) -> str:
    code = _code(error)
    known = _WORDS.get(str(code)) or _WORDS_OF_TYPES.get(type(error).__name__)
    if known:
        return known
    kind = type(error).__name__ if code is None else f"{type(error).__name__}, {code}"
    return f"it did not answer as expected ({kind}): check storage.url, storage.endpoint and the network"
