"""Digests of strings and of files. Different inputs have different digests, whatever characters they contain."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def of_strings(strings: Iterable[str]) -> bytes:
    """Encode a list of strings so that no other list has the same bytes.

    The bytes are the number of strings, their lengths in UTF-8, and the strings. A separator would be ambiguous,
    because an id may contain any character.
    """
    encoded = [text.encode("utf-8", "surrogatepass") for text in strings]
    return np.array([len(encoded), *map(len, encoded)], dtype="<i8").tobytes() + b"".join(encoded)


def of_json(value: Any) -> str:
    """Return the SHA-256 of a value that JSON can hold, in hex; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def of_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; it is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def of_code(*layers: str, root: Path = Path(__file__).parents[2]) -> str:
    """Return a digest of the program's source, 16 hex digits: what has the same one computes the same.

    Parameters
    ----------
    layers : folders of the source.
    root : the folder that holds them.
    """
    total = hashlib.sha256()
    for layer in layers:
        for path in sorted((root / layer).rglob("*.py")):
            total.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def digest(files: Mapping[str, bytes]) -> str:
    """Return a digest of names and contents, 16 hex digits."""
    names = sorted(files)
    total = hashlib.sha256(of_strings(names))
    for name in names:
        total.update(hashlib.sha256(files[name]).digest())
    return total.hexdigest()[:16]


def unit_fraction(*parts: str) -> float:
    """Return a number in [0, 1) that depends on the strings alone, spread evenly: a draw that repeats."""
    return int.from_bytes(hashlib.sha256(of_strings(parts)).digest()[:8], "big") / 2**64
