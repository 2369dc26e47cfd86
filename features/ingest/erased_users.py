"""The list of erased users, by salted hash: it names nobody, and recognises a user whose rows come again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.data.ids import spellings
from features.errors import DataError, disk_error, disk_errors
from features.storage.atomic import replace_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ErasedUsers(BaseModel):
    """Erased users, each as a keyed BLAKE2b hash (RFC 7693) of the id.

    Attributes
    ----------
    salt : 32 bytes in hex, drawn once.
    users : hash -> time of the erasure.
    pending : whether rows of these users may still be stored somewhere.

    Notes
    -----
    A salted hash is a pseudonym and not anonymous: a reader of the file can test whether it holds a given id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str = Field(default_factory=lambda: secrets.token_hex(32), pattern=r"^[0-9a-f]{64}$")
    users: dict[str, datetime] = {}
    pending: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the list from a file; without a file the list is empty.

        Raises
        ------
        DataError
            If the file is damaged. Treating it as empty would bring every erased user back.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (ValidationError, ValueError) as error:
            raise DataError(f"{path}, the list of erased users, is damaged: restore it from a backup first") from error
        except OSError as error:
            raise DataError(disk_error(error, path, "read")) from error

    def write(self, path: Path) -> None:
        """Write the list durably.

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        with disk_errors(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(path, self.model_dump_json(indent=1).encode())

    def with_users(self, user_ids: Iterable[str]) -> Self:
        """Return the list with more users, whose rows are still to be removed."""
        now = datetime.now(UTC)
        found = {self._hash(spelling): now for user in user_ids for spelling in spellings(user)}
        return self.model_copy(update={"users": found | self.users, "pending": True})

    def done(self) -> Self:
        """Return the list with nothing pending: no row of an erased user is left."""
        return self.model_copy(update={"pending": False})

    def has(self, user_id: str) -> bool:
        """Return whether this user was erased, in this spelling or another one that ingest reads alike."""
        return bool(self.users) and any(self._hash(spelling) in self.users for spelling in spellings(user_id))

    def among(self, user_ids: Iterable[str]) -> list[str]:
        """Return the ids that were erased, in the order given."""
        return [user for user in user_ids if self.has(user)]

    def since(self, moment: datetime) -> int:
        """Return how many ids were erased at or after a moment, which has a time zone; spellings of one user count once each."""
        return sum(erased >= moment for erased in self.users.values())

    @cached_property
    def _key(self) -> bytes:
        return bytes.fromhex(self.salt)

    def _hash(self, user_id: str) -> str:
        return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).hexdigest()
