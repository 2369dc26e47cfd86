"""The summary of an ingest: row counts of the tables, notes, and the data profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from features.text.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.model import DataProfile

REASONS_SHOWN = 5
NOTES_SHOWN = 10
NOTE = "note: "
_TAKEN_OVER = "taken over from the last read, as its file has not changed (notes on it are not repeated)"


@dataclass(frozen=True)
class TableSummary:
    """Row counts of one table: rows read = rows kept + rows quarantined.

    Attributes
    ----------
    reasons : reason -> number of rows quarantined for it, most frequent first.
    masked : personal data that was masked in the rows kept, in words.
    taken_over : whether the rows are those of the last ingest, because the file has not changed.
    """

    name: str
    read: int
    kept: int
    reasons: Mapping[str, int]
    masked: str = ""
    taken_over: bool = False

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    def __str__(self) -> str:
        line = f"{self.name}: {self.read:,} read = {self.kept:,} kept + {self.quarantined:,} quarantined"
        line = f"{line} ({self.why})" if self.reasons else line
        line = f"{line}; masked {self.masked}" if self.masked else line
        return f"{line}; {_TAKEN_OVER}" if self.taken_over else line

    @property
    def why(self) -> str:
        """The most frequent reasons and their counts, as text."""
        shown = [f"{count:,} {reason}" for reason, count in list(self.reasons.items())[:REASONS_SHOWN]]
        rest = sum(list(self.reasons.values())[REASONS_SHOWN:])
        return ", ".join(shown + ([f"{rest:,} for other reasons"] if rest else []))


@dataclass(frozen=True)
class IngestSummary:
    """Row counts of the tables, and notes: things to look at that are not errors.

    Attributes
    ----------
    notes : each on one line; it begins with "note: ", which is added where it is missing.
    profile : how the columns were understood.
    optional : row counts of the optional tables that the shop has.
    """

    items: TableSummary
    interactions: TableSummary
    notes: tuple[str, ...] = ()
    profile: DataProfile | None = None
    optional: Mapping[OptionalName, TableSummary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The same note may come from several rules.
        object.__setattr__(self, "notes", tuple(dict.fromkeys(as_note(text) for text in self.notes)))

    def __str__(self) -> str:
        return "\n".join([*self._counts, *self._shown_notes()])

    @property
    def all_lines(self) -> str:
        """The counts with all notes."""
        return "\n".join([*self._counts, *self.notes])

    @property
    def _counts(self) -> list[str]:
        return [plain(str(table)) for table in self.tables]

    @property
    def tables(self) -> tuple[TableSummary, ...]:
        """The tables that the shop has."""
        return (self.items, self.interactions, *self.optional.values())

    @property
    def quarantined(self) -> int:
        """Rows quarantined of all tables."""
        return sum(table.quarantined for table in self.tables)

    def _shown_notes(self) -> list[str]:
        rest = len(self.notes) - NOTES_SHOWN
        more = [f"{NOTE}and {rest} more (recsys ingest --check shows them)"] if rest > 0 else []
        return [*self.notes[:NOTES_SHOWN], *more]


def as_note(text: str) -> str:
    """Return a note on one line, without control characters: a file's values must not reach the terminal as commands."""
    line = plain(text)
    return line if line.startswith(NOTE) else NOTE + line
