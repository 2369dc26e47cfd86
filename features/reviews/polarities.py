"""Polarities that people of a shop gave to terms in sentences of its reviews."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.errors import DataError
from features.ingest.readers.files import read_table
from features.ingest.readers.raw_table import SHOWN, MissingColumnError, TableSpec
from features.names import ROW, SENTENCE, SENTIMENTS
from features.reviews.folding import folded
from features.storage.digests import of_json

TERM, POLARITY = "term", "polarity"  # what a person judged in a sentence, and as which of SENTIMENTS
COLUMNS = (SENTENCE, TERM, POLARITY)
FEWEST = 100  # with fewer, a held-out fifth could not show what the training is worth
# Scripts that put no spaces between words: there, a term is found inside of others.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_UNUSABLE = {
    "expected a text as sentence and as term": pl.col(SENTENCE).eq("") | pl.col("word").eq(""),
    f"expected {', '.join(SENTIMENTS[:2])} or {SENTIMENTS[2]} as polarity": ~pl.col(POLARITY).is_in(SENTIMENTS),
    "expected a term that stands in its sentence, word for word": pl.col("begin").is_null(),
}


@dataclass(frozen=True)
class Polarities:
    """What a shop's file says.

    Attributes
    ----------
    rows : `SENTENCE`, `POLARITY` (one of `SENTIMENTS`), and `begin` and `end`, the term's characters in the sentence.
    notes : what was left out, for the user.
    """

    rows: pl.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the usable rows."""
        return of_json(self.rows.rows())

    @property
    def lacking(self) -> str:
        """What is missing to learn from them; empty where there is enough."""
        if len(self.rows) < FEWEST:
            return f"{len(self.rows):,} usable labels, expected at least {FEWEST}"
        if self.rows[POLARITY].n_unique() < 2:
            return f"{len(self.rows):,} usable labels, all {self.rows[POLARITY][0]}, expected at least two polarities"
        return ""


def read_polarities(path: Path) -> Polarities:
    """Read a table with the columns sentence, term and polarity: csv, JSON lines or Parquet.

    A term is found in its sentence whatever the case and the accents, at its first place. Of equal rows the first counts; rows that
    contradict each other are left out.

    Raises
    ------
    DataError
        If the file cannot be read, or lacks a column.
    """
    spec = TableSpec("polarities", path, {name: (name,) for name in COLUMNS}, COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            table = read_table(spec, Path(folder) / "rows")
        except MissingColumnError as error:
            raise DataError(f"{error.found}: name the columns {', '.join(COLUMNS)}") from error
        rows = _located(table.frame.select(ROW, *(pl.col(name).cast(pl.String) for name in COLUMNS)).collect())
    reason = pl.coalesce(pl.when(unusable).then(pl.lit(why)) for why, unusable in _UNUSABLE.items())
    rows = rows.with_columns(reason=reason)
    usable = rows.filter(pl.col("reason").is_null())
    place = (SENTENCE, "begin", "end")
    unlike = pl.col(POLARITY).n_unique().over(place) > 1
    again = pl.when(unlike).then(pl.lit("expected one polarity for a term of a sentence")).otherwise(pl.lit("expected each label once"))
    usable = usable.with_columns(reason=pl.when(unlike | ~pl.struct(place).is_first_distinct()).then(again))
    out = pl.concat([rows.filter(pl.col("reason").is_not_null()), usable.filter(pl.col("reason").is_not_null())])
    left_out = pl.concat([table.malformed.select(ROW, "reason", "offence"), out.select(ROW, "reason", _offence())])
    kept = usable.filter(pl.col("reason").is_null()).select(*place, POLARITY)
    notes = tuple(note if note.startswith("note: ") else f"note: {path.name}: {note}" for note in table.notes)
    return Polarities(kept, (*notes, *_told(path.name, table.read, left_out)))


def _located(rows: pl.DataFrame) -> pl.DataFrame:
    """Clean the columns, and add the term's folded `word`, and its `begin` and `end`; null where it does not stand in the sentence."""
    clean = (pl.col(name).fill_null("").str.replace_all(r"\s+", " ").str.strip_chars() for name in COLUMNS)
    rows = rows.with_columns(*clean).with_columns(pl.col(POLARITY).str.to_lowercase())
    rows = rows.with_columns(text=" " + folded(rows[SENTENCE]) + " ", word=folded(rows[TERM]).str.strip_chars(" "))
    word, text = pl.col("word"), pl.col("text")
    whole = text.str.find(" " + word + " ", literal=True)
    inside = pl.when(word.str.contains(_UNSPACED)).then(text.str.find(word, literal=True))
    rows = rows.with_columns(begin=pl.coalesce(_characters(whole), _characters(inside) - 1))
    return rows.with_columns(end=pl.col("begin") + word.str.len_chars().cast(pl.Int64))


def _characters(place: pl.Expr) -> pl.Expr:
    """Return how many characters of `text` stand before a byte of it; null before none."""
    head = pl.col("text").cast(pl.Binary).bin.slice(0, place).cast(pl.String)
    return pl.when(place.is_not_null()).then(head.str.len_chars().cast(pl.Int64))


def _offence() -> pl.Expr:
    shown = pl.format("{}, {}, {}", *(pl.col(name).str.slice(0, SHOWN) for name in COLUMNS))
    return shown.alias("offence")


def _told(name: str, read: int, left_out: pl.DataFrame) -> list[str]:
    notes: list[str] = []
    for (reason,), rows in left_out.sort(ROW).group_by("reason", maintain_order=True):
        example = f"such as row {rows[ROW][0]} ({rows['offence'][0]})"
        notes.append(f"note: {name}: {len(rows):,} of {read:,} rows, {example}, left out: {reason}")
    return notes
