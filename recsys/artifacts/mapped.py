"""A bundle's files in memory that processes share: mapped, checked when they are mapped, and read in place.

One process reads files into memory of its own, and what it checked is what it uses. Several on one machine would each hold a copy of the
same vectors, log and index; mapped, the system holds them once. A published file is never changed in place by anything of ours.
The library of safetensors copies each array that it reads from a mapped file, so its header, which is JSON, is read here.
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

# Of the format of safetensors: https://github.com/huggingface/safetensors#format
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


class MappedFiles(Files):
    """The files of a bundle, of which the large ones need not be copied: see `features.storage.arrays.Shared`."""

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
            content.madvise(mmap.MADV_DONTNEED)  # pages that only the check has read count as this process's until they are given up
        return np.frombuffer(content, dtype=np.uint8)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of a safetensors file, read-only."""
        content = self.content(name)
        begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
        about = json.loads(content[8:begin].tobytes())
        about.pop("__metadata__", None)
        found = {}
        for key, entry in about.items():
            kind, count = _TYPES[entry["dtype"]], math.prod(entry["shape"])
            # Not a slice of the whole: scipy copies what is a small part of a larger array.
            found[key] = np.frombuffer(content.data, kind, count, begin + entry["data_offsets"][0]).reshape(entry["shape"])
        return found
