"""Writes the files of a bundle: what an earlier bundle has is linked, and not written again.

A file that is the same is a hard link. A file that differs little is assembled from parts: hard links to what the earlier bundle has, and
one new file of the bytes that it lacks. Bytes are shared where they have been compared, so damage of the earlier bundle is not inherited.
The file system counts the links: a stored file goes with the last bundle that names it.
"""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import numpy as np
from safetensors.numpy import save

from features.errors import BundleError
from features.storage.atomic import sync, write_durably
from features.storage.common_runs import common_runs
from recsys.artifacts.bundle import MANIFEST, PARTS, PIECES, SCHEMA, Bundle
from recsys.artifacts.plain_files import FileEntry

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.artifacts.bundle import Manifest
    from recsys.artifacts.plain_files import Piece

_log = logging.getLogger(__name__)
SMALLEST = 1 << 16  # bytes; a smaller file that differs is written whole
_MOST_NEW = 0.5  # share of a file's bytes that may be new; above it is written whole
_MOST_HELD = 2.0  # bytes of the parts that a file keeps on the disk over its own; above it is written whole


@dataclass(frozen=True)
class Assembly:
    """How a file is assembled.

    Attributes
    ----------
    pieces : as `Bundle.pieces`; the paths of `new` and of `links`.
    links : entry and path in the earlier bundle of each part that it has.
    new : the bytes that it lacks.
    """

    pieces: list[Piece]
    links: dict[str, tuple[FileEntry, str]]
    new: bytes

    @classmethod
    def of(cls, content: bytes, before: Bundle, name: str) -> Self:
        """Compare a file with that of an earlier bundle. Raises BundleError if that cannot be read."""
        stored = before.pieces(name)
        entries = before.manifest.parts | {name: before.entry(name)}
        ends, new, pieces = list(accumulate(length for _, _, length in stored)), bytearray(), list[tuple[str, int, int]]()
        old = before.source(name)(0, before.entry(name).size)
        at = 0
        for begin, begin_before, length in common_runs(old, content).tolist():
            _append(pieces, ("", len(new), begin - at))
            new += content[at:begin]
            at = begin + length
            stop = begin_before + length
            for number in range(bisect_right(ends, begin_before), len(stored)):
                part, part_begin, part_length = stored[number]
                first = ends[number] - part_length
                if first >= stop:
                    break
                skipped = max(0, begin_before - first)
                _append(pieces, (part, part_begin + skipped, min(stop - first, part_length) - skipped))
        _append(pieces, ("", len(new), len(content) - at))
        new += content[at:]
        links = {part: (entries[part], part) for part, _, _ in pieces if part}
        paths = {part: _path(entry) for part, (entry, _) in links.items()} | {"": _path(FileEntry.of(bytes(new)))}
        named = [(paths[part], begin, length) for part, begin, length in pieces]
        return cls(named, {paths[part]: link for part, link in links.items()}, bytes(new))

    @property
    def worthwhile(self) -> bool:
        """Whether it saves enough. A file that changes again and again keeps ever more bytes that it does not need."""
        size = sum(length for _, _, length in self.pieces)
        held = sum(entry.size for entry, _ in self.links.values()) + len(self.new)
        return len(self.new) <= _MOST_NEW * size and held <= _MOST_HELD * size


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Append a piece, or extend the last one if it continues it."""
    part, begin, length = piece
    if not length:
        return
    if pieces and pieces[-1][0] == part and pieces[-1][1] + pieces[-1][2] == begin:
        pieces[-1] = (part, pieces[-1][1], pieces[-1][2] + length)
    else:
        pieces.append(piece)


def _path(entry: FileEntry) -> str:
    return f"{PARTS}/{entry.sha256}"


@dataclass
class BundleWriter:
    """Writes files into the folder of a bundle.

    Attributes
    ----------
    before : an earlier bundle, of which files are shared; None writes everything.
    assemble : whether files that differ may be assembled. Parts hold bytes of the earlier bundle that no file of this one has.
    files, parts, pieces : what was written, for the manifest.
    written : bytes that were written, and not linked.
    """

    folder: Path
    before: Bundle | None = None
    assemble: bool = True
    files: dict[str, FileEntry] = field(default_factory=dict)
    parts: dict[str, FileEntry] = field(default_factory=dict)
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    written: int = 0

    def write(self, name: str, content: bytes) -> None:
        """Write one file, or link what the earlier bundle has of it."""
        self.files[name] = FileEntry.of(content)
        try:
            shared = self._linked(name, content) or self._assembled(name, content)
        except BundleError:  # the earlier bundle is damaged
            shared = False
        if not shared:
            self._store(name, content)

    def finish(self, manifest: Manifest) -> bytes:
        """Write the table of pieces and the manifest, and sync all names to disk. Return the content of the manifest."""
        if self.pieces:
            number = {part: place for place, part in enumerate(sorted({*self.parts, PIECES}))}
            rows = {name: np.array([(number[part], *place) for part, *place in pieces]) for name, pieces in self.pieces.items()}
            content = save({name: table.astype(np.min_scalar_type(table.max(initial=0))) for name, table in rows.items()})
            self._store(PIECES, content)
            self.parts[PIECES] = FileEntry.of(content)
        what = {"schema_version": SCHEMA, "files": self.files, "parts": self.parts, "assembled": tuple(self.pieces)}
        manifest = manifest.model_copy(update=what)
        content = manifest.model_dump_json(indent=1).encode()
        self._store(MANIFEST, content)
        for folder in {parent for name in manifest.stored for parent in (self.folder / name).parents if self.folder in parent.parents}:
            sync(folder)
        sync(self.folder)
        return content

    def _linked(self, name: str, content: bytes) -> bool:
        """Link a file that is the same, and return whether it is."""
        before = self.before
        if before is None or before.manifest.files.get(name) != self.files[name] or before.is_assembled(name):
            return False
        return before.source(name)(0, len(content)) == content and self._link(name, name)

    def _assembled(self, name: str, content: bytes) -> bool:
        """Assemble a file, and return whether that was possible."""
        before = self.before
        if before is None or name not in before.manifest.files or not self.assemble or len(content) < SMALLEST:
            return False
        assembly = Assembly.of(content, before, name)
        if not assembly.worthwhile:
            return False
        if not all(self._link(stored, path) for path, (_, stored) in assembly.links.items()):
            for path in assembly.links.keys() - self.parts.keys():  # what no manifest lists counts as damage
                (self.folder / path).unlink(missing_ok=True)
            return False
        self.parts |= {path: entry for path, (entry, _) in assembly.links.items()}
        if assembly.new:
            entry = FileEntry.of(assembly.new)
            self._store(_path(entry), assembly.new)
            self.parts[_path(entry)] = entry
        self.pieces[name] = assembly.pieces
        return True

    def _link(self, stored: str, name: str) -> bool:
        """Link what the earlier bundle has stored; return False if the disk has no hard links, or no more of them."""
        assert self.before is not None
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.before.folder / stored, path, follow_symlinks=False)
        except FileExistsError:
            return True
        except OSError as error:
            _log.debug("%s is written and not linked: %s", name, error.strerror)
            return False
        return True

    def _store(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
        self.written += len(content)
