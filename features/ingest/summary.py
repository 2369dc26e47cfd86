"""The summary of an ingest: row counts of both tables, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.text.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS_SHOWN = 5


@dataclass(frozen=True)
class TableSummary:
    """Row counts of one table: rows read = rows kept + rows quarantined.

    Attributes
    ----------
    reasons : reason -> number of rows quarantined for it, most frequent first.
    """

    name: str
    read: int
    kept: int
    reasons: Mapping[str, int]

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    def __str__(self) -> str:
        line = f"{self.name}: {self.read:,} read = {self.kept:,} kept + {self.quarantined:,} quarantined"
        return f"{line} ({self.why})" if self.reasons else line

    @property
    def why(self) -> str:
        """The most frequent reasons and their counts, as text."""
        shown = [f"{count:,} {reason}" for reason, count in list(self.reasons.items())[:REASONS_SHOWN]]
        rest = sum(list(self.reasons.values())[REASONS_SHOWN:])
        return ", ".join(shown + ([f"{rest:,} for other reasons"] if rest else []))


@dataclass(frozen=True)
class IngestSummary:
    """Row counts of both tables, and notes: things to look at that are not errors."""

    items: TableSummary
    interactions: TableSummary
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(plain(line) for line in (str(self.items), str(self.interactions), *self.notes))
