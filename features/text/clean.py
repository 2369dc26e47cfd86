"""Texts of a shop as a customer reads them: without markup, damage by a wrong encoding, and invisible characters.

The rules are applied to the few values that a cheap search of the whole column finds, so that plain texts cost nothing else.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import ftfy
import ftfy.badness
import polars as pl

from features.text.html import without_markup

if TYPE_CHECKING:
    from collections.abc import Callable

# What was done to a text, as bits.
MARKUP, ENTITIES, MOJIBAKE, INVISIBLE = 1, 2, 4, 8
CLEANED = pl.Struct({"text": pl.String, "changes": pl.UInt8})

_MARKUP = r"<[a-zA-Z!?/]|&#?[a-zA-Z0-9]+;|\[/?[a-z]|\{[{%]"
# Two bytes of UTF-8 read as cp1252 or Latin-1.
_TWO_BYTES = r"[\u{c2}-\u{f4}][\u{80}-\u{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
# Soft hyphen, zero-width space, word joiner, byte order mark, marks and overrides of direction. Joiners stay: Persian, Hindi and emoji are
# written with them.
_INVISIBLE = r"[\u{ad}\u{61c}\u{180e}\u{200b}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2060}-\u{2064}\u{2066}-\u{206f}\u{feff}\u{fff9}-\u{fffb}]"


def cleaned(values: pl.Series) -> pl.Series:
    """Return texts and what was done to each, as `CLEANED`; a null stays null.

    Composed and decomposed letters become the same (NFC), which is not counted as a change.
    """
    frame = pl.DataFrame({"text": values.cast(pl.String)}).with_columns(changes=pl.lit(0, pl.UInt8))
    frame = _by_value(frame, _MARKUP, _unmarked)
    frame = _by_value(frame, _TWO_BYTES, _mended)
    invisible = pl.col("text").str.contains(_INVISIBLE).fill_null(value=False)
    if frame.select(invisible.any()).item():
        shown = pl.when(invisible).then(pl.col("text").str.replace_all(_INVISIBLE, "")).otherwise("text")
        frame = frame.with_columns(text=shown, changes=pl.col("changes") | invisible.cast(pl.UInt8) * INVISIBLE)
    if frame.select(pl.col("text").str.contains(r"[^\x00-\x7f]").any()).item():
        frame = frame.with_columns(pl.col("text").str.normalize("NFC"))
    return frame.to_struct(values.name)


def _by_value(frame: pl.DataFrame, pattern: str, rule: Callable[[str], tuple[str, int]]) -> pl.DataFrame:
    """Apply a rule, which gives the new text and what was done, to the distinct texts that hold a pattern."""
    suspects = frame.filter(pl.col("text").str.contains(pattern))["text"].unique()
    if not len(suspects):
        return frame
    found = [rule(text) for text in suspects.to_list()]
    after, done = (pl.Series(values, dtype=kind) for values, kind in zip(zip(*found, strict=True), (pl.String, pl.UInt8), strict=True))
    rules = pl.DataFrame({"text": suspects, "after": after, "done": done}).filter(pl.col("text") != pl.col("after"))
    marked = frame.join(rules, on="text", how="left", maintain_order="left")
    return marked.select(text=pl.coalesce("after", "text"), changes=pl.col("changes") | pl.col("done").fill_null(0))


def _unmarked(text: str) -> tuple[str, int]:
    after = without_markup(text)
    return after, ENTITIES if after == html.unescape(text) else MARKUP


def _mended(text: str) -> tuple[str, int]:
    """Mend a text whose UTF-8 was read as another encoding, where that is certain."""
    return (ftfy.fix_encoding(text) if ftfy.badness.is_bad(text) else text), MOJIBAKE
