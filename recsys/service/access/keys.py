"""Stores API keys: names, scopes and SHA-256 hashes.

A key has 256 random bits, so a fast hash suffices. It is shown once and never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import ConfigError
from features.storage.atomic import exclusive, replace_durably
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIX = "rk_"


class Key(BaseModel):
    """What is stored of a key. The scope `admin` includes `read` and `write`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: tuple[Scope, ...] = Field(min_length=1)
    created: datetime

    def may(self, scope: Scope) -> bool:
        """Return whether the key has the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Keys(BaseModel):
    """All keys of a workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file of keys; a missing file holds none.

        Raises
        ------
        ConfigError
            The file cannot be read. Treating it as empty would open the service.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError:
            raise ConfigError(f"{path} is damaged: remove it and create the keys again with `recsys keys add`") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror or error}): check its permissions") from error

    def write(self, path: Path) -> None:
        """Write the file durably, readable by its owner alone.

        Raises
        ------
        ConfigError
            The file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_durably(path, self.model_dump_json(indent=1).encode())
            path.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror or error}): check free space and permissions") from error

    @staticmethod
    @contextmanager
    def changing(path: Path) -> Iterator[None]:
        """Hold the lock of a file of keys, from reading it to writing it, so that no concurrent change is lost.

        Raises
        ------
        ConfigError
            Another process holds the lock, or the file cannot be locked.
        """
        try:
            with exclusive(path):
                yield
        except OSError as error:
            raise ConfigError(f"{path} cannot be locked ({error.strerror or error}): check its permissions and try again") from error

    def added(self, name: str, scopes: tuple[Scope, ...]) -> tuple[Keys, str]:
        """Return the keys with a new one, and its secret, which is stored nowhere.

        Raises
        ------
        ConfigError
            The name is taken or malformed.
        """
        if any(key.name == name for key in self.keys):
            raise ConfigError(f"key {name!r} already exists: choose another name, or remove it first")
        secret = _PREFIX + secrets.token_urlsafe(32)
        try:
            key = Key(name=name, sha256=_hash(secret), scopes=scopes, created=datetime.now(UTC).replace(microsecond=0))
        except ValidationError:
            raise ConfigError(f"{name!r} is not a valid key name: use up to 64 letters, digits, '_', '.' and '-'") from None
        return Keys(keys=(*self.keys, key)), secret

    def without(self, name: str) -> Keys:
        """Return the keys without one.

        Raises
        ------
        ConfigError
            No key has that name.
        """
        left = tuple(key for key in self.keys if key.name != name)
        if len(left) == len(self.keys):
            known = ", ".join(key.name for key in self.keys) or "none"
            raise ConfigError(f"there is no key {name!r}; existing keys: {known}")
        return Keys(keys=left)

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, or None; compares all in constant time, so that timing reveals nothing."""
        digest, found = _hash(secret), None
        for key in self.keys:
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
