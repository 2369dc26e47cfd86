"""Bundles: everything that an answer needs, published as one checked unit.

    bundles/CURRENT                 the id of the current bundle, one line
    bundles/<id>/manifest.json      size and SHA-256 of each file, the parent bundle, and facts from the publisher
    bundles/<id>/...                the files
    bundles/<id>/parts/...          what files that differ little from an earlier bundle's are assembled from

What a folder shares with others are hard links, so that a bundle can be removed or copied alone. An id is the UTC time of publishing and
the beginning of the manifest's SHA-256. The id authenticates the manifest, and the manifest authenticates every file. Bytes are read once,
checked, and then deserialised. `recsys.artifacts.publish` writes bundles.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import BundleError
from recsys.artifacts.plain_files import FileEntry, Piece, Pieces, damaged, read_checked, read_plain

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from features.storage.arrays import ByteReader

_log = logging.getLogger(__name__)
SCHEMA = 2
_READABLE = (1, SCHEMA)  # bundles of schema 1 have no assembled files
LAYOUT = 8  # of a bundle's files; a bundle of another layout is rebuilt even if nothing else has changed
MANIFEST = "manifest.json"
CURRENT = "CURRENT"
PARTS = "parts"  # the folder of parts
PIECES = f"{PARTS}/pieces.safetensors"  # unsigned integers (n, 3) by file: number of the part, begin in it, length
RETRAIN = "retrain"  # of `Manifest.about`: users were erased since the model in it was trained
HASH_DIGITS = 12  # 48 bits detect damage; no number protects against a writer, who could replace everything
# Parts begin with a letter, digit or underscore, which excludes hidden files, `.` and `..`.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_PART = re.compile(rf"{PARTS}/[0-9a-z.]+")
_ID = re.compile(rf"\d{{8}}T\d{{12}}Z-[0-9a-f]{{{HASH_DIGITS}}}", re.ASCII)


class Manifest(BaseModel):
    """The content of manifest.json.

    Attributes
    ----------
    parent : id of the bundle that was current before.
    about : facts from the publisher, ready for JSON.
    assembled : files that are not stored whole, but assembled from `parts`.
    parts : what they are assembled from, by its path in the folder; a name ends with the beginning of its SHA-256.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    created: datetime
    parent: str | None
    files: dict[str, FileEntry]
    about: dict[str, Any]
    assembled: tuple[str, ...] = ()
    parts: dict[str, FileEntry] = {}

    @property
    def stored(self) -> dict[str, FileEntry]:
        """All that lies in the bundle's folder beside the manifest: the files that are stored whole, and the parts of the others."""
        return {name: entry for name, entry in self.files.items() if name not in self.assembled} | self.parts

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def answers(self) -> bool:
        """Whether this version of the program can answer from the bundle."""
        return self.about.get("layout") == LAYOUT


@dataclass(frozen=True)
class Bundle:
    """An open bundle. Its manifest is checked when it is opened, each file when it is read."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.folder.name

    @classmethod
    def open(cls, bundles: Path, bundle_id: str | None = None) -> Bundle:
        """Open a bundle by id; None opens the current one.

        Raises
        ------
        BundleError
            If it does not exist, or its manifest is missing, damaged or of another version.
        """
        bundle_id = current_id(bundles) if bundle_id is None else bundle_id
        if not _ID.fullmatch(bundle_id):
            raise BundleError(f"{bundle_id!r} is not the id of a bundle: ids look like 20260131T120000000000Z-<12 hex digits>")
        folder = bundles / bundle_id
        if not folder.is_dir():
            raise BundleError(f"bundle {bundle_id} is not in {bundles}: run `recsys rollback` for an older one, or `recsys build-index`")
        return cls(folder, _read_manifest(folder))

    def read(self, name: str) -> bytes:
        """Return the bytes of one file, checked against the manifest.

        Raises
        ------
        BundleError
            If the file is not in the manifest, is missing, or differs from the published one.
        """
        entry = self.entry(name)
        if not self.is_assembled(name):
            return read_checked(self.folder, name, entry)
        entry.check(content := self.source(name)(0, entry.size), self.id, name)
        return content

    def entry(self, name: str) -> FileEntry:
        """Return the manifest's entry of a file.

        Raises
        ------
        BundleError
            If the file is not in the manifest.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(f"bundle {self.id} holds no {name!r}: it was published by another version; run `recsys build-index`")
        return entry

    def is_assembled(self, name: str) -> bool:
        """Return whether a file is assembled from parts. A copy of a bundle may hold it whole."""
        return name in self.manifest.assembled and not (self.folder / name).is_file()

    def pieces(self, name: str) -> list[Piece]:
        """Return where the bytes of a file are stored: the path in the folder, the begin there, and the length, in the file's order."""
        if not self.is_assembled(name):
            return [(name, 0, self.entry(name).size)]
        parts = sorted(self.manifest.parts)
        return [(parts[part], begin, length) for part, begin, length in self._tables[name].tolist()]

    def source(self, name: str) -> ByteReader:
        """Return a reader of parts of a file, without a checksum: see `features.storage.arrays.StoredArray`."""
        pieces, stored = self.pieces(name), self.manifest.parts | {name: self.entry(name)}
        return Pieces(self.folder, pieces, {part: stored[part].size for part, _, _ in pieces})

    @cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        from safetensors.numpy import load

        return load(read_checked(self.folder, PIECES, self.manifest.parts[PIECES]))

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The files by name; each access reads and checks the file, as `read` does."""
        return Files(self)

    def present(self) -> set[str]:
        """Return the names of all files and links in the folder, whatever the manifest lists."""
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir()}

    def verify(self) -> list[str]:
        """Read every file and return one line for each problem."""
        problems = []
        for name in self.manifest.files:
            try:
                self.read(name)
            except BundleError as error:
                problems.append(str(error))
        unlisted = sorted(self.present() - self.manifest.files.keys() - self.manifest.parts.keys() - {MANIFEST})
        return problems + [f"bundle {self.id}: {name!r} is not in its manifest: remove it" for name in unlisted]


class Files(Mapping[str, bytes]):
    """Maps the names of a bundle's files to their bytes, checked as they are read."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def __getitem__(self, name: str) -> bytes:
        if name not in self._bundle.manifest.files:
            raise KeyError(name)
        return self._bundle.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bundle.manifest.files)

    def __len__(self) -> int:
        return len(self._bundle.manifest.files)

    def __contains__(self, name: object) -> bool:
        return name in self._bundle.manifest.files

    def source(self, name: str) -> ByteReader:
        """Return a reader of parts of a file, without a checksum: see `features.storage.arrays.StoredArray`."""
        return self._bundle.source(name)


def current_id(bundles: Path) -> str:
    """Return the id of the current bundle.

    Raises
    ------
    BundleError
        If there is none, or CURRENT does not hold an id.
    """
    path = bundles / CURRENT
    try:
        with path.open("rb") as file:
            content = file.read(200)
    except FileNotFoundError:
        hint = "run `recsys rollback` for the newest one that is whole" if list_bundles(bundles) else "run `recsys build-index` first"
        raise BundleError(f"no bundle is in use in {bundles}: {hint}") from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}: check the folder and its permissions") from error
    text = content.decode("ascii", errors="replace").removesuffix("\n")
    if not _ID.fullmatch(text):
        raise BundleError(f"{path} is damaged: it holds {text[:60]!r} and not the id of a bundle: run `recsys rollback`")
    return text


def check_layout(bundle: Bundle, advice: str = "run `recsys build-index`") -> None:
    """Raise BundleError unless this version of the program can answer from a bundle."""
    if not bundle.manifest.answers:
        layout = bundle.manifest.about.get("layout")
        raise BundleError(f"bundle {bundle.id} has layout {layout}, this version answers from layout {LAYOUT}: {advice}")


def list_bundles(bundles: Path) -> list[str]:
    """Return the ids of all bundles, newest first, without checking them."""
    if not bundles.is_dir():
        return []
    return sorted((path.name for path in bundles.iterdir() if _ID.fullmatch(path.name) and path.is_dir()), reverse=True)


def sound_bundle(bundles: Path) -> Bundle | None:
    """Return the current bundle with every file checked; None, with a warning, if it is damaged."""
    if not list_bundles(bundles):
        return None
    try:
        bundle = Bundle.open(bundles)
    except BundleError as error:
        _log.warning("%s", error)
        return None
    problems = bundle.verify()
    if problems:
        _log.warning("%s", problems[0])
        return None
    return bundle


def _read_manifest(folder: Path) -> Manifest:
    content = read_plain(folder, MANIFEST, None)
    if not folder.name.endswith(hashlib.sha256(content).hexdigest()[:HASH_DIGITS]):
        raise damaged(folder.name, f"{MANIFEST}: its sha256 is not the one in the bundle's id")
    try:
        raw = json.loads(content)
        version = raw.get("schema_version")
        if version not in _READABLE:
            advice = "install the version that made it, or run `recsys rollback`"
            raise BundleError(f"bundle {folder.name} has schema {version!r}, this version reads up to {SCHEMA}: {advice}")
        manifest = Manifest.model_validate(raw)
        for name in manifest.files:
            check_name(name)
        wrong = {name for name in manifest.parts if not _PART.fullmatch(name)} | set(manifest.assembled) - manifest.files.keys()
        if wrong or (manifest.assembled and PIECES not in manifest.parts):
            raise ValueError(f"its parts do not belong together: {sorted(wrong) or PIECES}")
    except (ValueError, AttributeError, ValidationError) as error:
        raise damaged(folder.name, f"{MANIFEST}: {str(error).splitlines()[0]}") from error
    return manifest


def check_name(name: str) -> None:
    """Raise ValueError unless a name is a relative path of plain characters, `part/file.ext`."""
    if not _NAME.fullmatch(name) or name == MANIFEST or name.startswith(f"{PARTS}/"):
        raise ValueError(f"{name!r} cannot be the name of a file in a bundle: letters, digits, '_', '-', '.' and '/' between parts")
