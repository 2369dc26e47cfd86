"""Catalogues whose texts differ as a supplier's next export may: other brand names, typos, parts in another order, short descriptions.

What is said twice in a catalogue changes alike everywhere: each brand, title, category path and list of attributes is
changed once. So items that share a text go on sharing one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.catalog import Catalog
from features.names import ATTRIBUTES, BRAND, CATEGORY, DESCRIPTION, TITLE
from features.text.template import item_texts

if TYPE_CHECKING:
    from collections.abc import Callable

MISSPELT = 0.25  # share of a title's words that get a typo
LEAST_LETTERS = 4  # of a word that gets one: shorter words become other words
DESCRIPTION_LEFT = 40  # characters
_SYLLABLES = ("ba", "co", "di", "fu", "ga", "lo", "mi", "nu", "pe", "ri", "so", "ta", "ve", "zi")


@dataclass(frozen=True)
class Perturbation:
    """A changed catalogue.

    Attributes
    ----------
    name : what was changed, as a table shows it.
    changed : share of the items whose text differs.
    """

    name: str
    catalog: Catalog
    changed: float


def perturbations(catalog: Catalog, seed: int = 0) -> list[Perturbation]:
    """Return the catalogue under each perturbation, also under those that change nothing in it."""
    before = item_texts(catalog)
    out = []
    for place, (name, change) in enumerate(PERTURBATIONS.items()):
        changed = Catalog.from_frame(change(catalog.frame, np.random.default_rng([seed, place])))
        out.append(Perturbation(name, changed, float((item_texts(changed) != before).to_numpy().mean()) if len(before) else 0.0))
    return out


def rename_brands(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Give each brand a made-up name, in its column and where titles hold it as a word of their own."""
    brands = _distinct(frame[BRAND])
    names: dict[str, str] = {}
    taken: set[str] = set()
    for brand in brands:
        names[brand] = _made_up_name(rng, taken)
        taken.add(names[brand])
    # Longest first: "Kitchen Aid" is no "Kitchen".
    spelt = "|".join(re.escape(brand) for brand in sorted(brands, key=len, reverse=True))
    by_lower = {brand.lower(): name for brand, name in names.items()}
    pattern = re.compile(rf"(?<!\w)(?:{spelt})(?!\w)", re.IGNORECASE) if brands else None

    def renamed(title: str) -> str:
        return pattern.sub(lambda found: by_lower.get(found[0].lower(), found[0]), title) if pattern else title

    return _mapped(_mapped(frame, BRAND, lambda brand: names[brand]), TITLE, renamed)


def misspell_titles(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Put a typo into a quarter of each title's longer words: two letters swapped, one left out, or one doubled."""

    def typo(found: re.Match[str]) -> str:
        word = found[0]
        if rng.random() >= MISSPELT:
            return word
        at = int(rng.integers(1, len(word) - 1))
        endings = (word[at + 1] + word[at] + word[at + 2 :], word[at + 1 :], word[at] + word[at:])
        return word[:at] + endings[int(rng.integers(3))]

    return _mapped(frame, TITLE, lambda title: re.sub(rf"[^\W\d_]{{{LEAST_LETTERS},}}", typo, title))


def reorder_parts(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Put the levels of each category path, and each item's attributes, into another order."""

    def shuffled(separator: str) -> Callable[[str], str]:
        return lambda value: separator.join(rng.permutation(np.array(value.split(separator), dtype=object)).tolist())

    return _mapped(_mapped(frame, CATEGORY, shuffled("|")), ATTRIBUTES, shuffled("; "))


def truncate_descriptions(frame: pl.DataFrame, _rng: np.random.Generator) -> pl.DataFrame:
    """Leave of each description its first characters."""
    return frame.with_columns(pl.col(DESCRIPTION).str.slice(0, DESCRIPTION_LEFT))


PERTURBATIONS: dict[str, Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]] = {
    "brands renamed": rename_brands,
    "typos in titles": misspell_titles,
    "categories and attributes reordered": reorder_parts,
    "descriptions cut": truncate_descriptions,
}


def _made_up_name(rng: np.random.Generator, taken: set[str]) -> str:
    while (name := "".join(_SYLLABLES[i] for i in rng.integers(len(_SYLLABLES), size=5)).capitalize()) in taken:
        pass
    return name


def _distinct(column: pl.Series) -> list[str]:
    """Return the distinct values in a fixed order, without null and empty ones."""
    return [value for value in column.drop_nulls().unique().sort().to_list() if value.strip()]


def _mapped(frame: pl.DataFrame, column: str, change: Callable[[str], str]) -> pl.DataFrame:
    """Replace the distinct values of a column."""
    values = _distinct(frame[column])
    return frame.with_columns(pl.col(column).replace(values, [change(value) for value in values]))
