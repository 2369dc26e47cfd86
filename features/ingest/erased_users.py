"""Who is to stay forgotten: users by salted hash, so that the list names nobody and still knows them when their rows come again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import DataError, disk_error, disk_errors
from features.storage.atomic import replace_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ErasedUsers(BaseModel):
    """Keyed BLAKE2b (RFC 7693) of each erased id.

    Attributes
    ----------
    salt: 32 bytes in hex, drawn once. users: hash -> when it was erased. pending: rows of theirs may still lie somewhere.

    Whoever holds the file can still try ids out: a salted hash is a pseudonym, not an anonym.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str = Field(default_factory=lambda: secrets.token_hex(32), pattern=r"^[0-9a-f]{64}$")
    users: dict[str, datetime] = {}
    pending: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """Those of a file; none where there is no file.

        Raises
        ------
        DataError: it is damaged. Taking it for empty would bring everybody back.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (ValidationError, ValueError) as error:
            raise DataError(f"{path} is damaged, and says who was erased: bring it back from a backup first") from error
        except OSError as error:
            raise DataError(disk_error(error, path, "read")) from error

    def write(self, path: Path) -> None:
        """Durably.

        Raises
        ------
        DataError: the disk refuses.
        """
        with disk_errors(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(path, self.model_dump_json(indent=1).encode())

    def with_users(self, user_ids: Iterable[str]) -> Self:
        """These too, from now on; their rows are still to be removed."""
        now = datetime.now(UTC)
        return self.model_copy(update={"users": {self._hash(user): now for user in user_ids} | self.users, "pending": True})

    def done(self) -> Self:
        """Nothing is left of them."""
        return self.model_copy(update={"pending": False})

    def has(self, user_id: str) -> bool:
        """Whether this user was erased."""
        return bool(self.users) and self._hash(user_id) in self.users

    def among(self, user_ids: Iterable[str]) -> list[str]:
        """Those of some ids that were erased, in their order."""
        return [user for user in user_ids if self.has(user)]

    def since(self, moment: datetime) -> int:
        """How many were erased at or after a moment (aware)."""
        return sum(erased >= moment for erased in self.users.values())

    @cached_property
    def _key(self) -> bytes:
        return bytes.fromhex(self.salt)

    def _hash(self, user_id: str) -> str:
        return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).hexdigest()
