"""Text files as decoded text."""

from __future__ import annotations

import gzip
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a text file, also a compressed one. Bytes that cannot be decoded become U+FFFD."""
    with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else file as raw:
        start = raw.read(2)
        raw.seek(0)
        utf16 = start in (b"\xff\xfe", b"\xfe\xff")
        name = "utf-16" if utf16 else "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        with io.TextIOWrapper(raw, encoding=name, errors="replace", newline="") as text:
            yield text
