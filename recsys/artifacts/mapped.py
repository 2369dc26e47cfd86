"""A bundle's files as memory maps that several processes share; they are checked when they are mapped.

Without them, each worker of a machine would hold its own copy of the vectors, the log and the index. Sharing is safe
because a published file is never changed in place. A file that is assembled from parts is copied once for all processes, into a cache
that names it by its SHA-256. The safetensors library copies every array that it reads from a
mapped file, so its JSON header is parsed here.
"""

from __future__ import annotations

import json
import logging
import math
import mmap
import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.errors import BundleError
from features.storage.atomic import exclusive
from recsys.artifacts.bundle import Bundle, Files, list_bundles
from recsys.artifacts.plain_files import opened

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.artifacts.plain_files import FileEntry

MAPPED = "mapped"  # the folder of copies in the workspace's cache
_log = logging.getLogger(__name__)

# Types of the safetensors format: https://github.com/huggingface/safetensors#format
_TYPES = {
    f"{kind}{bits}": f"<{kind.lower()}{bits // 8}"
    for kind, sizes in (("F", (16, 32, 64)), ("I", (8, 16, 32, 64)), ("U", (8, 16, 32, 64)))
    for bits in sizes
} | {"BOOL": "?"}


class MappedFiles(Files):
    """A bundle's files by name, with arrays that are read in place: see `features.storage.arrays.Shared`."""

    def __init__(self, bundle: Bundle, cache: Path | None = None) -> None:
        super().__init__(bundle)
        self.content = lru_cache(maxsize=None)(self._content)
        self._cache = cache

    def _content(self, name: str) -> np.ndarray:
        entry = self._bundle.entry(name)
        if not self._bundle.is_assembled(name):
            return _mapped(self._bundle.folder, name, entry)
        try:
            return np.frombuffer(self._bundle.read(name), dtype=np.uint8) if self._cache is None else self._copied(self._cache, name, entry)
        except OSError as error:  # the disk is full, or may not be written
            _log.warning("each worker holds a copy of %s: %s cannot be written (%s)", name, self._cache, error.strerror)
            return np.frombuffer(self._bundle.read(name), dtype=np.uint8)

    def _copied(self, cache: Path, name: str, entry: FileEntry) -> np.ndarray:
        """Map the copy of an assembled file; make it first unless another process has."""
        with exclusive(cache / "files"):
            path = cache / entry.sha256
            try:
                return _mapped(cache, entry.sha256, entry)
            except BundleError:  # there is none, or it was damaged
                _remove_old(cache, self._bundle.folder.parent)
                temporary = path.with_name(f".tmp-{path.name}")
                temporary.write_bytes(self._bundle.read(name))
                os.replace(temporary, path)
                _log.info("%s: %.1f MiB copied into %s, which workers share", name, entry.size / 2**20, cache)
                return _mapped(cache, entry.sha256, entry)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of a safetensors file, read-only."""
        content = self.content(name)
        begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
        about = json.loads(content[8:begin].tobytes())
        about.pop("__metadata__", None)
        arrays = {}
        for key, entry in about.items():
            kind, count = _TYPES[entry["dtype"]], math.prod(entry["shape"])
            # A buffer of its own, not a slice: scipy copies small slices of larger arrays.
            arrays[key] = np.frombuffer(content.data, kind, count, begin + entry["data_offsets"][0]).reshape(entry["shape"])
        return arrays


def _mapped(folder: Path, name: str, entry: FileEntry) -> np.ndarray:
    """Map a stored file and check it; raise BundleError unless it is the published one."""
    descriptor = opened(folder, name, entry.size)
    try:
        content = mmap.mmap(descriptor, entry.size, access=mmap.ACCESS_READ) if entry.size else b""
    finally:
        os.close(descriptor)
    entry.check(content, folder.name, name)
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED)  # pages that the check has read count as this process's memory until they are released
    return np.frombuffer(content, dtype=np.uint8)


def _remove_old(cache: Path, bundles: Path) -> None:
    """Remove copies of files that no stored bundle has; processes that have mapped one keep it until they end."""
    needed: set[str] = set()
    for bundle_id in list_bundles(bundles):
        with suppress(BundleError):
            manifest = Bundle.open(bundles, bundle_id).manifest
            needed |= {manifest.files[name].sha256 for name in manifest.assembled}
    for path in cache.iterdir():
        if path.name not in needed and not path.name.endswith(".lock"):
            path.unlink()
