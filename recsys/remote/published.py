"""What a shared store holds: the content of its one name that changes, CURRENT.

    CURRENT                        names for each part of a shop the version in use, earlier ones, and the objects of each
    objects/<sha256>-<8 digits>    contents, written once; the digits are those of the publishing that sent it

A part is the list of erased users, the tables, the models or the bundles. Everything that CURRENT does not name is invisible. So a
publishing is one conditional write of CURRENT, and one that was killed has changed nothing.

Two publishings never write the same object, because the digits differ. So what no CURRENT names any more can be removed at once: a
publisher that began before has lost, and one that begins later sends what CURRENT does not name anew.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from features.errors import DataError, StorageError, disk_errors
from features.storage.atomic import replace_durably

if TYPE_CHECKING:
    from pathlib import Path

    from features.storage.remote.store import SharedStore

CURRENT, OBJECTS = "CURRENT", "objects"
SCHEMA = 1
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*(/[A-Za-z0-9_][A-Za-z0-9._=-]*)*")


class PartName(StrEnum):
    """The parts of a shop; `word` is what a message calls them."""

    ERASED = "erased"
    DATA = "data"
    MODELS = "models"
    BUNDLES = "bundles"

    @property
    def word(self) -> str:
        return {"erased": "list of erased users", "data": "tables", "models": "model", "bundles": "bundle"}[self]


class StoredFile(BaseModel):
    """A file of a version: its size in bytes, its digest, and the object with its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    object: str = Field(pattern=rf"^{OBJECTS}/[0-9a-f]{{64}}-[0-9a-f]{{8}}$")


class StoredPart(BaseModel):
    """The versions of a part: id -> file name -> file; `in_use` is one of the ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_use: str
    versions: dict[str, dict[str, StoredFile]]

    @field_validator("versions")
    @classmethod
    def _plain_names(cls, versions: dict[str, dict[str, StoredFile]]) -> dict[str, dict[str, StoredFile]]:
        for name in (name for version, files in versions.items() for name in (version, *files)):
            if not _SAFE.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a version or of a file in it")
        return versions

    @property
    def files(self) -> dict[str, StoredFile]:
        """The files of the version in use."""
        return self.versions[self.in_use]

    @classmethod
    def empty(cls) -> Self:
        """Return a part without versions."""
        return cls(in_use="", versions={})

    def with_version(self, version: str, files: dict[str, StoredFile], keep: int) -> Self:
        """Return the part with another version in use, and the latest of those before: `keep` in all."""
        others = sorted((name for name in self.versions if name != version), reverse=True)[: keep - 1]
        return self.model_copy(update={"in_use": version, "versions": {version: files} | {name: self.versions[name] for name in others}})

    def alone(self) -> Self:
        """Return the part without all versions but the one in use."""
        return self.model_copy(update={"versions": {self.in_use: self.files}})


class StoreManifest(BaseModel):
    """The content of CURRENT.

    Attributes
    ----------
    written : when it was written, by the clock of the publisher.
    publishing : 8 digits that no other publishing has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA
    written: datetime
    publishing: str
    parts: dict[PartName, StoredPart]

    @classmethod
    def read(cls, store: SharedStore) -> tuple[Self | None, str | None]:
        """Return what a store has published, and the tag of CURRENT for `SharedStore.swap`; None twice for an empty store.

        Raises
        ------
        StorageError
            If it cannot be read, or another version of this program wrote it.
        """
        tag = store.tag(CURRENT)  # before the content: if another writes in between, a swap with the older tag is refused
        if tag is None:
            return None, None
        try:
            return cls.model_validate_json(store.read(CURRENT)), tag
        except ValidationError as error:
            advice = "use the version of this program that published it, or publish again into an empty store"
            raise StorageError(f"{CURRENT} of {store.url} is damaged or of another version: {advice}") from error

    @property
    def objects(self) -> dict[str, str]:
        """Object -> SHA-256 of everything that is named."""
        return {file.object: file.sha256 for part in self.parts.values() for files in part.versions.values() for file in files.values()}

    def in_use(self, part: PartName) -> str | None:
        """Return the version of a part that is in use; None if the store has none."""
        return self.parts[part].in_use if part in self.parts else None


class InStep(BaseModel):
    """The versions in use when a workspace and a store last agreed; storage.json of the workspace.

    Attributes
    ----------
    url : the store.
    tag : of CURRENT at that moment; None if the workspace has not seen all of it.
    parts : part -> version in use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    tag: str | None = None
    parts: dict[PartName, str] = {}

    @classmethod
    def read(cls, path: Path, url: str) -> Self:
        """Read the file; one of another store, or none, has nothing in common with it.

        Raises
        ------
        DataError
            If it cannot be read, or is damaged.
        """
        try:
            with disk_errors(path, "read"):
                found = cls.model_validate_json(path.read_bytes()) if path.is_file() else cls(url=url)
        except ValidationError as error:
            raise DataError(f"{path} is damaged: remove it, and run `recsys pull --replace` or `recsys push --replace`") from error
        return found if found.url == url else cls(url=url)

    def write(self, path: Path) -> None:
        """Write the file durably."""
        with disk_errors(path, "written"):
            replace_durably(path, self.model_dump_json(indent=1).encode())


def new_publishing() -> str:
    """Return 8 digits for a publishing."""
    return uuid.uuid4().hex[:8]
