"""The cleaning of a catalogue's texts, and the notes that say what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.readers.raw_table import SHOWN
from features.ingest.values.placeholders import raw
from features.text.clean import CLEANED, ENTITIES, INVISIBLE, MARKUP, MOJIBAKE, cleaned
from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = {
    "title": "titles",
    "description": "descriptions",
    "brand": "brands",
    "category": "categories",
    "attributes": "attributes",
}  # with their plurals
CHANGES = "text_changes"  # a column of a checked catalogue: text column -> what was done to its value, see `features.text.clean`
CLEAN = "clean."  # begins the names of cleaned columns
DONE = (
    (MARKUP, "HTML or shortcodes were removed from"),
    (ENTITIES, "HTML entities were decoded in"),
    (MOJIBAKE, "UTF-8 that had been read as another encoding was mended in"),
    (INVISIBLE, "invisible characters were removed from"),
)


def with_clean_texts(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add the columns of `clean`, and `CHANGES`, to a frame of raw columns."""
    texts = {f"{CLEAN}{name}": raw(name).cast(pl.String).map_batches(cleaned, return_dtype=CLEANED, is_elementwise=True) for name in TEXTS}
    changes = pl.struct(pl.col(f"{CLEAN}{name}").struct.field("changes").alias(name) for name in TEXTS)
    return frame.with_columns(**texts).with_columns(**{CHANGES: changes})


def clean(name: str) -> pl.Expr:
    """Return the cleaned text of a column."""
    return pl.col(f"{CLEAN}{name}").struct.field("text")


def text_notes(table: pl.LazyFrame, checked: pl.LazyFrame) -> Iterator[str]:
    """Yield a note for each thing that was done to texts: how often, and an example before and after.

    Parameters
    ----------
    table : the catalogue before validation.
    checked : the validated catalogue, with `CHANGES`.
    """
    valid = checked.filter(pl.col("reason").is_null())
    done = {(bit, name): (pl.col(CHANGES).struct.field(name) & bit) != 0 for bit, _ in DONE for name in TEXTS}
    counts = valid.select(**{f"{bit} {name}": holds.sum() for (bit, name), holds in done.items()}).collect().row(0, named=True)
    for bit, what in DONE:
        found = {name: counts[f"{bit} {name}"] for name in TEXTS if counts[f"{bit} {name}"]}
        if not found:
            continue
        name = next(iter(found))
        row, item, after = valid.filter(done[bit, name]).select("row", "item_id", name).head(1).collect().row(0)
        before = table.filter(pl.col("row") == row).select(name).head(1).collect().item()
        where = " and ".join(counted(count, text, TEXTS[text]) for text, count in found.items())
        yield f"note: {what} {where}, e.g. of item {item}: {_shown(before)} is now {_shown(after)}"


def _shown(text: str | None) -> str:
    """Return the beginning of a text in quotes; `repr` escapes what a terminal would hide or obey."""
    text = text or ""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
