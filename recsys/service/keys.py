"""API keys: the file holds names, scopes and SHA-256 hashes. A key has 256 random bits, so that a fast hash is enough; it is shown once."""

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
from recsys.settings.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIX = "rk_"


class Key(BaseModel):
    """What is kept of a key. `admin` may do what `read` and `write` may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: tuple[Scope, ...] = Field(min_length=1)
    created: datetime

    def may(self, scope: Scope) -> bool:
        """Whether this key opens what needs the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Keys(BaseModel):
    """All keys of a workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Those of a file; none where there is no file.

        Raises
        ------
        ConfigError: it cannot be read. Taking it for empty would open the service.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError:
            raise ConfigError(f"{path} is damaged: remove it and make the keys again with `recsys keys add`") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror or error}): check its rights") from error

    def write(self, path: Path) -> None:
        """Durably, for the owner's eyes alone.

        Raises
        ------
        ConfigError: the disk refuses.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_durably(path, self.model_dump_json(indent=1).encode())
            path.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror or error}): check free space and rights") from error

    @staticmethod
    @contextmanager
    def changing(path: Path) -> Iterator[None]:
        """Around reading and writing: nobody else changes the keys in between, and none is lost.

        Raises
        ------
        ConfigError: another process holds them, or the disk refuses.
        """
        try:
            with exclusive(path):
                yield
        except OSError as error:
            raise ConfigError(f"{path} cannot be locked ({error.strerror or error}): check its rights, and try again") from error

    def added(self, name: str, scopes: tuple[Scope, ...]) -> tuple[Keys, str]:
        """With a new key, and the key itself, which nothing else will ever show.

        Raises
        ------
        ConfigError: the name is taken, or no name.
        """
        if any(key.name == name for key in self.keys):
            raise ConfigError(f"there is a key {name!r} already: take another name, or remove it first")
        secret = _PREFIX + secrets.token_urlsafe(32)
        try:
            key = Key(name=name, sha256=_hash(secret), scopes=scopes, created=datetime.now(UTC).replace(microsecond=0))
        except ValidationError:
            raise ConfigError(f"{name!r} cannot name a key: letters, digits, '_', '.' and '-', 64 at most") from None
        return Keys(keys=(*self.keys, key)), secret

    def without(self, name: str) -> Keys:
        """Without a key.

        Raises
        ------
        ConfigError: there is none of that name.
        """
        left = tuple(key for key in self.keys if key.name != name)
        if len(left) == len(self.keys):
            known = ", ".join(key.name for key in self.keys) or "none"
            raise ConfigError(f"there is no key {name!r}; there are: {known}")
        return Keys(keys=left)

    def find(self, secret: str) -> Key | None:
        """Whose key it is. All are compared, each in constant time, so that time tells nothing."""
        digest, found = _hash(secret), None
        for key in self.keys:
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
