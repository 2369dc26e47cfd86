"""What the parts of a snapshot have in common."""

from __future__ import annotations

from typing import Protocol


class SnapshotPart(Protocol):
    """A part of a snapshot that is stored in files."""

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        ...
