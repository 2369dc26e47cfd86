"""Product types of a catalogue and their words: what customers search for in a shop that has no search log.

Where many titles are the same but for a size ("Ripe Olives, 6 OZ"), the title without it names the type. Where titles are names of single
products, the leaf of the category path does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from eval.search.variations import words_of
from features.names import CATEGORY, TITLE

if TYPE_CHECKING:
    import numpy as np

    from features.data.catalog import Catalog

SHARED = 3  # items with the same title but for its size, from which the title names a type
# What stands after the last comma, or sizes such as "750 ml" and "12 x 33 cl" at the end.
_SIZE = r"(,[^,]*|(\s+[\d.,/x*-]+\s*[[:alpha:]]{0,4}\.?)+)$"


@dataclass(frozen=True)
class ProductTypes:
    """Types of the items.

    Attributes
    ----------
    words : the words of each type, unique
    of_item : int64 (n_items,), the type of each item; -1 without one
    """

    words: tuple[str, ...]
    of_item: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog) -> ProductTypes:
        """Find the type of each item: its title without size where `SHARED` items have it, else the leaf of its category."""
        frame = catalog.frame.select(
            title=pl.col(TITLE).str.replace(_SIZE, ""), leaf=pl.col(CATEGORY).str.split("|").list.last().str.strip_chars()
        )
        names = frame.select(name=pl.when(pl.len().over("title") >= SHARED).then("title").otherwise(pl.coalesce("leaf", pl.lit(""))))[
            "name"
        ]
        distinct = names.unique().to_list()
        typed = dict(zip(distinct, (" ".join(words_of(name)) for name in distinct), strict=True))
        words = sorted({text for text in typed.values() if text})
        row_of = {text: row for row, text in enumerate(words)}
        of_name = {name: row_of.get(text, -1) for name, text in typed.items()}
        return cls(tuple(words), names.replace_strict(of_name, return_dtype=pl.Int64).to_numpy())
