"""One way to make a digest of strings and of files: other strings, other bytes, whatever characters stand in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def of_strings(strings: Iterable[str]) -> bytes:
    """Bytes that no other list of strings has: how many there are, how long each is in UTF-8, and then all of them.

    A separator would not do: an id may hold any character.
    """
    encoded = [text.encode("utf-8", "surrogatepass") for text in strings]
    return np.array([len(encoded), *map(len, encoded)], dtype="<i8").tobytes() + b"".join(encoded)


def digest(files: Mapping[str, bytes]) -> str:
    """Of names and contents, 16 hex digits."""
    names = sorted(files)
    found = hashlib.sha256(of_strings(names))
    for name in names:
        found.update(hashlib.sha256(files[name]).digest())
    return found.hexdigest()[:16]
