"""A bundle's files as memory maps that several processes share; they are checked when they are mapped.

Without them, each worker of a machine would hold its own copy of the vectors, the log and the index. Sharing is safe
because a published file is never changed in place. The safetensors library copies every array that it reads from a
mapped file, so its JSON header is parsed here.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from recsys.artifacts.bundle import Files
from recsys.artifacts.plain_files import damaged, opened

if TYPE_CHECKING:
    from recsys.artifacts.bundle import Bundle

# Types of the safetensors format: https://github.com/huggingface/safetensors#format
_TYPES = {
    f"{kind}{bits}": f"<{kind.lower()}{bits // 8}"
    for kind, sizes in (("F", (16, 32, 64)), ("I", (8, 16, 32, 64)), ("U", (8, 16, 32, 64)))
    for bits in sizes
} | {"BOOL": "?"}


class MappedFiles(Files):
    """A bundle's files by name, with arrays that are read in place: see `features.storage.arrays.Shared`."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.content = cache(self._content)

    def _content(self, name: str) -> np.ndarray:
        entry = self._bundle.entry(name)
        descriptor = opened(self._bundle.folder, name, entry.size)
        try:
            content = mmap.mmap(descriptor, entry.size, access=mmap.ACCESS_READ) if entry.size else b""
        finally:
            os.close(descriptor)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise damaged(self._bundle.id, f"{name}: its sha256 is not the published one")
        if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            content.madvise(mmap.MADV_DONTNEED)  # pages that the check has read count as this process's memory until they are released
        return np.frombuffer(content, dtype=np.uint8)

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
